"""The folder of reports: one folder a cycle, of which the newest stay."""

from __future__ import annotations

import shutil
from pathlib import Path

from pydantic import ValidationError

from schemas.evidence import Evidence
from schemas.reports import EVIDENCE_FILE, PAGE_FILE
from stores.files import replacing


def read_evidence(folder: Path) -> Evidence | None:
    """The evidence in the folder of a cycle; None where there is none, or none that this release can read."""
    try:
        return Evidence.model_validate_json((folder / EVIDENCE_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def write_evidence(reports: Path, evidence: Evidence, keep: int) -> None:
    """Keep the evidence of a cycle in `reports`, and of all others the newest, so that there are `keep` of them.

    A page that was drawn of earlier evidence of the cycle goes.
    """
    folder = reports / evidence.cycle_id
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / EVIDENCE_FILE) as file:
        file.write(evidence.model_dump_json(exclude_defaults=True).encode())
    (folder / PAGE_FILE).unlink(missing_ok=True)
    for other in newest_first(reports)[keep:]:
        shutil.rmtree(other, ignore_errors=True)


def newest_first(reports: Path) -> list[Path]:
    """The folders of the cycles of which there is evidence, the last written first."""
    found = []
    for path in reports.glob(f"*/{EVIDENCE_FILE}"):
        try:
            found.append((path.stat().st_mtime_ns, path.parent))
        except OSError:  # another process has removed it
            continue
    return [folder for _, folder in sorted(found, reverse=True)]
