"""Whether reports of cycles name a user: those refused, and ten with their nearest, stand in each."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from schemas.jobs.explanation import Found, Trace
from schemas.reports import EVIDENCE_FILE, PAGE_FILE
from trainer.evidence.files import newest_first

_NAMED = 3
"""Reports that the evidence lists; of more it says how many."""


def trace_of_reports(folder: Path, keep: int, user: str) -> Trace:
    """What was seen in the reports in `folder`, of which the newest `keep` stay.

    A report that names the user goes by itself when newer ones push it out, so it is outgoing. Nothing removes a page
    without evidence, or any report where none is written any more: there it is held.
    """
    place, kept = f"reports in {folder}", newest_first(folder)
    alone = sorted(page.parent for page in folder.glob(f"*/{PAGE_FILE}") if page.parent not in kept)
    naming: list[tuple[Path, int | None]] = []
    try:
        for rank, report in enumerate(kept):
            if _names(json.loads((report / EVIDENCE_FILE).read_bytes()), user):
                naming.append((report, max(keep - rank, 1) if keep else None))
        naming += [(report, None) for report in alone if _page_names(report / PAGE_FILE, user)]
    except (OSError, ValueError) as error:
        why = f"a report cannot be read: {error}"
        return Trace(place=place, found=Found.UNKNOWN, evidence=why, way_out="mend or remove it")
    looked = len(kept) + len(alone)
    if not naming:
        return Trace(place=place, found=Found.ABSENT, evidence=f"{looked} reports are there, and none names it")
    names = ", ".join(report.name for report, _ in naming[:_NAMED])
    more = f" and {len(naming) - _NAMED} others" if len(naming) > _NAMED else ""
    told = f"{len(naming)} of {looked} reports name it: {names}{more}"
    way_out = "delete the folders of these reports to remove it now; nothing needs them"
    ends = [end for _, end in naming if end is not None]
    if len(ends) < len(naming):
        return Trace(place=place, found=Found.HELD, evidence=told, way_out=way_out)
    last = max(ends)
    told += f"; the last of them goes after {last:,} more cycles (RETRAINER_REPORTS__KEEP)"
    return Trace(place=place, found=Found.OUTGOING, evidence=told, way_out=way_out)


def _names(found: Any, user: str) -> bool:
    """Whether a text of the evidence is the user, or a label between the user and another."""
    if isinstance(found, dict):
        return any(_is(key, user) or _names(value, user) for key, value in found.items())
    if isinstance(found, list):
        return any(_names(value, user) for value in found)
    return isinstance(found, str) and _is(found, user)


def _is(text: str, user: str) -> bool:
    if text == user:
        return True
    if not text.startswith("["):
        return False
    try:
        pair = json.loads(text)  # as `schemas.labels.pair_text` writes it
    except ValueError:
        return False
    return isinstance(pair, list) and user in pair


def _page_names(page: Path, user: str) -> bool:
    """Whether an element of the page is the user: refused ones and neighbours stand in a cell, or begin one."""
    return re.search(rf">{re.escape(html.escape(user, quote=False))}\s*<", page.read_text()) is not None
