"""The pages of the project as its tests read them: what is code, what is prose, which headings there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.unit.project.code import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")])


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def code(page: Path) -> Iterator[tuple[int, str]]:
    """Every line of a block of code, and every piece between backticks, with the line that it stands in."""
    fenced = False
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield number, line.strip()
        else:
            yield from ((number, piece) for piece in re.findall(r"`([^`]+)`", line))


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Every link to a file of ours: path and anchor, either may be empty."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: Path) -> set[str]:
    """What a link to a heading of this page may name, as GitHub makes it of the heading."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", one).lower()).replace(" ", "-") for one in headings}
