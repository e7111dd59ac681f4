"""The page that lies beside a model tells people what its manifest says."""

from __future__ import annotations

from pathlib import Path

import schemas
from schemas.manifest import ModelManifest
from trainer.package import report

GOLDEN = ModelManifest.model_validate_json(
    (Path(schemas.__file__).parent / "golden" / "model_manifest.json").read_bytes()
)


def rows_of(page: str) -> dict[str, list[str]]:
    """The rows of all tables of a page, by their first cell."""
    lines = (line.strip("|").split("|") for line in page.splitlines() if line.startswith("|"))
    return {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_figures_of_both_models() -> None:
    rows = rows_of(report(GOLDEN))
    assert rows["accuracy"] == ["0.9978", "0.9971"]
    assert rows["AUC"] == ["1.0000", "1.0000"]
    assert rows["average precision"] == ["1.0000", "1.0000"]
    assert rows["recall@10"] == ["0.3322", "0.3302"]
    assert rows["calibration error"] == ["0.0272", "0.0289"]


def test_figures_by_slice() -> None:
    rows = rows_of(report(GOLDEN))
    figures = ["precision", "recall of pairs", "F1", "average precision", "recall@10", "calibration error"]
    names = ["users", "pairs", "accuracy", "AUC", *figures]
    assert rows["this version / champion"] == names
    assert rows["new"] == ["0", "0", *["- / -"] * 8]
    pairs = ["0.9969 / 0.9930", "1.0000 / 1.0000", "- / -", "- / -", "- / -", "1.0000 / 1.0000"]  # of the first release
    assert rows["changed"] == ["18", "1284", *pairs, "0.3167 / 0.3000", "0.0272 / 0.0289"]
    assert rows["unchanged"][:2] == ["333", "23956"]


def test_an_older_manifest_has_no_slices_and_a_first_version_no_champion() -> None:
    gate = GOLDEN.gate_report.model_copy(update={"slices": {}, "champion": None})
    page = report(GOLDEN.model_copy(update={"gate_report": gate}))
    assert "this version / champion" not in page
    assert rows_of(page)["accuracy"] == ["0.9978", "-"]
