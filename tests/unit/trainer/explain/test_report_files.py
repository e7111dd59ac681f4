"""Reports that name a user who is gone: which they are, when they go, and when nobody but a person removes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas.evidence import Evidence
from schemas.jobs.explanation import Found
from schemas.reports import EVIDENCE_FILE, PAGE_FILE
from trainer.evidence.files import write_evidence
from trainer.explain.report_files import trace_of_reports
from trainer.report.files import draw_page

GOLDEN = Evidence.model_validate_json((Path(schemas.__file__).parent / "golden" / "evidence.json").read_text())
GONE = "u<7>"
"""An id that a page has to escape."""


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Four reports, of which c1 is the oldest."""
    for number in range(1, 5):
        keep_report(tmp_path, f"c{number}", number)
    return tmp_path


def keep_report(reports: Path, cycle_id: str, at: int, **more: Any) -> Path:
    write_evidence(reports, GOLDEN.model_copy(update={"cycle_id": cycle_id, **more}), 10)
    os.utime(reports / cycle_id / EVIDENCE_FILE, (at, at))
    return reports / cycle_id


def naming(where: str) -> dict[str, Any]:
    """Changes to the evidence by which it names `GONE`."""
    if where == "neighbours":
        (first, *others) = GOLDEN.neighbourhoods
        (near, *rest) = first.after
        after = (near.model_copy(update={"user": GONE}), *rest)
        return {"neighbourhoods": (first.model_copy(update={"after": after}), *others)}
    read = GOLDEN.result.read
    assert read is not None
    refused = {GONE: "too long"} if where == "refused" else {f'["u1","{GONE}"]': "no such user"}
    told = read.model_copy(update={"refused": refused, "refused_total": 1})
    return {"result": GOLDEN.result.model_copy(update={"read": told})}


def test_reports_without_it_are_absent(reports: Path, tmp_path: Path) -> None:
    found = trace_of_reports(reports, 10, GONE)
    assert (found.found, found.evidence) == (Found.ABSENT, "4 reports are there, and none names it")
    assert trace_of_reports(tmp_path / "none", 10, GONE).found is Found.ABSENT


@pytest.mark.parametrize("where", ["neighbours", "refused", "refused labels"])
def test_a_report_that_names_it_says_when_it_goes(reports: Path, where: str) -> None:
    keep_report(reports, "c2", 2, **naming(where))
    found = trace_of_reports(reports, 10, GONE)
    assert found.found is Found.OUTGOING
    assert found.evidence.startswith("1 of 4 reports name it: c2; the last of them goes after 8 more cycles")
    assert "delete the folders" in (found.way_out or "")
    keep_report(reports, "c4", 4, **naming(where))
    told = trace_of_reports(reports, 10, GONE).evidence
    assert told.startswith("2 of 4 reports name it: c4, c2; the last of them goes after 10 more")


def test_where_no_report_is_written_any_more_it_is_held(reports: Path) -> None:
    keep_report(reports, "c2", 2, **naming("neighbours"))
    assert trace_of_reports(reports, 0, GONE).found is Found.HELD


def test_a_page_without_evidence_is_read_too(reports: Path) -> None:
    folder = keep_report(reports, "c2", 2, **naming("neighbours"))
    assert draw_page(folder) is not None
    (folder / EVIDENCE_FILE).unlink()
    assert trace_of_reports(reports, 10, GONE).found is Found.HELD
    assert (folder / PAGE_FILE).exists()
    assert trace_of_reports(reports, 10, "u<77>").found is Found.ABSENT


def test_a_report_that_cannot_be_read_is_told(reports: Path) -> None:
    (reports / "c3" / EVIDENCE_FILE).write_text("{")
    assert trace_of_reports(reports, 10, GONE).found is Found.UNKNOWN
