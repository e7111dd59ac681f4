"""The page of a cycle beside its evidence, and its pictures in a folder."""

from __future__ import annotations

from pathlib import Path

from schemas.evidence import Evidence
from schemas.reports import PAGE_FILE
from stores.files import replacing
from trainer.evidence.files import read_evidence
from trainer.report.drawing import png
from trainer.report.page import page, plots_of


def draw_page(folder: Path) -> Path | None:
    """Draw the page of the evidence in `folder`; None where there is none that can be read."""
    evidence = read_evidence(folder)
    if evidence is None:
        return None
    path = folder / PAGE_FILE
    with replacing(path) as file:
        file.write(page(evidence).encode())
    return path


def write_pictures(evidence: Evidence, folder: Path) -> list[Path]:
    """Write every picture of a report as PNG into `folder`, which is made, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for plot in plots_of(evidence):
        path = folder / f"{plot.name}.png"
        path.write_bytes(png(plot))
        written.append(path)
    return written
