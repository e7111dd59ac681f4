"""The service draws the pages of cycles that have ended, by a process that is not waited for by anybody."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

import schemas
from consumer.followers import followers_of
from consumer.ledger.ledger import Ledger
from consumer.report_pages import PageDrawer
from consumer.settings import Settings
from schemas.evidence import Evidence
from schemas.log_events.cycles import REPORT_NOT_DRAWN
from schemas.reports import EVIDENCE_FILE, PAGE_FILE, ReportPolicy
from tests.waiting import wait_until

pytestmark = pytest.mark.full

GOLDEN = Evidence.model_validate_json((Path(schemas.__file__).parent / "golden" / "evidence.json").read_text())


def keep(reports: Path, cycle_id: str, text: str = GOLDEN.model_dump_json()) -> Path:
    folder = reports / cycle_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EVIDENCE_FILE).write_text(text)
    return folder / PAGE_FILE


@contextmanager
def drawing(reports: Path) -> Iterator[PageDrawer]:
    drawer = PageDrawer(reports)
    drawer.start()
    drawer.start()
    try:
        yield drawer
    finally:
        drawer.stop()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumer.report_pages._EVERY", 0.1)


def test_pages_are_drawn_where_they_are_missing_or_older_than_the_evidence(tmp_path: Path) -> None:
    first = keep(tmp_path, "c1")
    older = keep(tmp_path, "c2")
    older.write_text("of before")
    os.utime(older, (1, 1))
    ready = keep(tmp_path, "c3")
    ready.write_text("of now")
    with drawing(tmp_path):
        wait_until(lambda: first.exists() and older.read_text() != "of before", 60, "both pages are drawn")
        later = keep(tmp_path, "c4")
        wait_until(later.exists, 60, "the page is drawn")
    assert ready.read_text() == "of now"
    assert oct(first.stat().st_mode & 0o777) == "0o600"


def test_what_cannot_be_drawn_is_told_once_and_holds_nothing_up(tmp_path: Path) -> None:
    broken = keep(tmp_path, "c1", "{")
    with capture_logs() as lines, drawing(tmp_path):
        wait_until(lambda: bool(lines), 60, "the failure is told")
        page = keep(tmp_path, "c2")
        wait_until(page.exists, 60, "the page is drawn")
        assert not broken.exists()
        assert [(line["event"], line["cycle_id"]) for line in lines] == [(REPORT_NOT_DRAWN, "c1")]
        keep(tmp_path, "c1")  # the cycle is run again, and leaves other evidence
        wait_until(broken.exists, 60, "the page is drawn")


def test_it_stops_in_the_middle_and_goes_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 600\n")
    slow.chmod(0o755)
    page = keep(tmp_path, "c1")
    me = psutil.Process()
    with monkeypatch.context() as patched:
        patched.setattr("consumer.report_pages.sys.executable", str(slow))
        with drawing(tmp_path):
            wait_until(lambda: any("sleep" in child.name() for child in me.children()), 60, "a page is being drawn")
        assert not any("sleep" in child.name() for child in me.children())
    with drawing(tmp_path):
        wait_until(page.exists, 60, "the page is drawn")


def test_without_a_folder_it_waits(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    with capture_logs() as lines, drawing(reports):
        page = keep(reports, "c1")
        wait_until(page.exists, 60, "the page is drawn")
        shutil.rmtree(reports)
        page = keep(reports, "c2")
        wait_until(page.exists, 60, "the page is drawn")
    assert lines == []


def test_the_settings_decide_whether_pages_are_drawn(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RETRAINER_REPORTS__HTML")  # set for all tests

    def drawers(**policy: object) -> int:
        settings = Settings(state_dir=tmp_path, reports=ReportPolicy.model_validate(policy))
        return sum(isinstance(one, PageDrawer) for one in followers_of(settings, ledger))

    assert [drawers(html=True), drawers(html=False), drawers(html=True, keep=0)] == [1, 0, 0]
