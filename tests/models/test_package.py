"""The page that lies beside a model tells people what its manifest says."""

from __future__ import annotations

from pathlib import Path

import schemas
from schemas.cycle import LabelReport, ProbeReport
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


def test_outcomes_and_what_the_champion_knew_before_are_told_where_there_are_labels() -> None:
    told = {"outcome_auc": 0.71234, "recall_at_50": 0.12, "outcome_calibration_error": 0.03}
    gate = GOLDEN.gate_report.model_copy(update={"labels": 321, "judged_by": "outcomes"})
    page = report(
        GOLDEN.model_copy(
            update={
                "metrics": GOLDEN.metrics.model_copy(update=told),
                "gate_report": gate,
                "label_report": LabelReport(
                    accepted=40, deleted=2, positives=1500, negatives=60, held_out=321, waiting=3
                ),
                "probe_report": ProbeReport(
                    version=3,
                    users=0,
                    labels=42,
                    auc=0.61,
                    own_auc=0.7,
                    regret=0.09,
                    error=0.02,
                    summary="version 3 is old",
                ),
            }
        )
    )
    rows = rows_of(page)
    assert rows["AUC of outcomes"] == ["0.6100", "0.7000"]  # that of the probe is the later table
    assert "| AUC of outcomes | 0.7123 | - |" in page
    assert rows["calibration error of outcomes"] == ["0.0300", "-"]
    assert "on 321 held-out labels, decide." in page
    assert "## Before it was learned" in page
    assert "Asked about 0 changed users and 42 changed labels. Version 3 is old." in page
    assert "40 read, 2 deleted, 0 refused; now 1500 positive and 60 negative, of which 321 are held out; 3 wait" in page
    assert "recall@50" in rows["this version / champion"]


def test_without_labels_nothing_is_said_of_them() -> None:
    page = report(GOLDEN)
    assert "outcomes" not in page
    assert "Before it was learned" not in page
    assert "changed labels" not in page
