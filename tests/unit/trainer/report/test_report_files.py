"""The folder of reports: the newest stay, a page of earlier evidence goes, and the pictures can be had alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import schemas
from schemas.evidence import Evidence
from schemas.reports import EVIDENCE_FILE, PAGE_FILE
from trainer.evidence.files import newest_first, read_evidence, write_evidence
from trainer.report.files import draw_page, write_pictures

GOLDEN = Evidence.model_validate_json((Path(schemas.__file__).parent / "golden" / "evidence.json").read_text())


def kept(reports: Path, cycle_id: str, keep: int, at: int) -> None:
    write_evidence(reports, GOLDEN.model_copy(update={"cycle_id": cycle_id}), keep)
    os.utime(reports / cycle_id / EVIDENCE_FILE, (at, at))


def test_the_newest_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        kept(tmp_path, f"c{number}", 3, number)
    (tmp_path / "notes").mkdir()
    assert [folder.name for folder in newest_first(tmp_path)] == ["c4", "c3", "c2"]
    assert {path.name for path in tmp_path.iterdir()} == {"c2", "c3", "c4", "notes"}


def test_new_evidence_makes_the_page_go(tmp_path: Path) -> None:
    kept(tmp_path, "c1", 3, 1)
    page = draw_page(tmp_path / "c1")
    assert page is not None
    assert "recall@10" in page.read_text()
    kept(tmp_path, "c1", 3, 2)
    assert not page.exists()


def test_a_round_trip_changes_nothing(tmp_path: Path) -> None:
    kept(tmp_path, GOLDEN.cycle_id, 3, 1)
    assert read_evidence(tmp_path / GOLDEN.cycle_id) == GOLDEN


@pytest.mark.parametrize("content", [None, "{", '{"schema_release": 2}'])
def test_without_evidence_that_can_be_read_there_is_no_page(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / EVIDENCE_FILE).write_text(content)
    assert draw_page(tmp_path) is None
    assert not (tmp_path / PAGE_FILE).exists()


@pytest.mark.full
def test_the_pictures_are_had_alone(tmp_path: Path) -> None:
    found = write_pictures(GOLDEN, tmp_path / "new" / "folder")
    assert {path.stem for path in found} >= {"distributions", "roc", "precision-recall", "calibration", "slices"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in found)
    again = write_pictures(GOLDEN, tmp_path / "again")
    assert [path.read_bytes() for path in found] == [path.read_bytes() for path in again]
