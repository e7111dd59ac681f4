"""`retrainer report`: which page it finds, what it says of it, and what it says where there is none."""

from __future__ import annotations

import json
import os
import time
import webbrowser
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

import schemas
from consumer.ledger.ledger import Ledger, open_ledger
from retrainer.cli.report import NoReport, report
from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.evidence import Evidence
from schemas.reports import EVIDENCE_FILE, PAGE_FILE
from tests.cli import command
from tests.contract.ledgers import take
from trainer.evidence.files import write_evidence

GOLDEN = Evidence.model_validate_json((Path(schemas.__file__).parent / "golden" / "evidence.json").read_text())


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ledger]:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        yield opened


def keep(tmp_path: Path, cycle_id: str, at: float = 1.0) -> Path:
    write_evidence(tmp_path / "reports", GOLDEN.model_copy(update={"cycle_id": cycle_id}), 9)
    folder = tmp_path / "reports" / cycle_id
    os.utime(folder / EVIDENCE_FILE, (at, at))
    return folder


def told(*arguments: str) -> str:
    ran = CliRunner().invoke(command(report), list(arguments))
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def why_not(*arguments: str) -> str:
    ran = CliRunner().invoke(command(report), list(arguments))
    assert isinstance(ran.exception, NoReport), ran.exception
    return str(ran.exception)


@pytest.mark.full
def test_the_last_cycle_is_the_default_and_its_page_is_drawn(ledger: Ledger, tmp_path: Path) -> None:
    keep(tmp_path, "c1", 1.0)
    newest = keep(tmp_path, "c2", 2.0)
    said = told()
    assert str(newest / PAGE_FILE) in said
    assert "Registered as version 2" in said
    assert (newest / PAGE_FILE).exists()
    assert not (tmp_path / "reports" / "c1" / PAGE_FILE).exists()


def test_a_page_that_is_drawn_is_not_drawn_again(ledger: Ledger, tmp_path: Path) -> None:
    page = keep(tmp_path, "c1") / PAGE_FILE
    page.write_text("drawn before")
    told("c1")
    assert page.read_text() == "drawn before"
    os.utime(page, (0.5, 0.5))
    told("c1")
    assert page.read_text() != "drawn before"


def test_a_version_is_found_by_its_cycle(ledger: Ledger, tmp_path: Path) -> None:
    fence = take(ledger)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", time.time(), fence=fence)
    result = CycleResult(cycle_id=claim.cycle_id, outcome=Outcome.REGISTERED, reason="so", base_version=None, version=1)
    ledger.cycles.settle(result, 1_700_000_000.0, fence=fence)
    folder = keep(tmp_path, claim.cycle_id)
    found = json.loads(told("1", "--json"))
    assert found["page"] == str(folder / PAGE_FILE)
    assert (found["cycle"], found["outcome"], found["pictures"]) == (claim.cycle_id, "registered", [])
    assert "there is no version 2; `retrainer versions`" in why_not("2")


@pytest.mark.full
def test_the_pictures_are_written_alone(ledger: Ledger, tmp_path: Path) -> None:
    keep(tmp_path, "c1")
    found = json.loads(told("c1", "--png", str(tmp_path / "pictures"), "--json"))["pictures"]
    assert str(tmp_path / "pictures" / "roc.png") in found
    assert all(Path(path).exists() for path in found)


def test_it_is_opened(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = keep(tmp_path, "c1")
    seen: list[str] = []

    def no_browser(address: str) -> bool:
        seen.append(address)
        return False

    monkeypatch.setattr(webbrowser, "open", no_browser)
    ran = CliRunner().invoke(command(report), ["c1", "--open"])
    assert seen == [(folder / PAGE_FILE).as_uri()]
    assert "no browser can be opened here" in ran.stderr


@pytest.mark.parametrize("cycle", ["c9", "../outside", "", "."])
def test_where_there_is_none_the_newest_are_named(ledger: Ledger, tmp_path: Path, cycle: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / EVIDENCE_FILE).write_text(GOLDEN.model_dump_json())
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / EVIDENCE_FILE).write_text(GOLDEN.model_dump_json())
    assert why_not(cycle).endswith("none is kept there")
    keep(tmp_path, "c1")
    assert why_not(cycle).endswith("kept are, the newest first: c1")


def test_nothing_has_ended_yet(ledger: Ledger) -> None:
    assert "no cycle has ended on this machine yet" in why_not()


def test_evidence_of_another_release_is_told(ledger: Ledger, tmp_path: Path) -> None:
    (keep(tmp_path, "c1") / EVIDENCE_FILE).write_text('{"schema_release": 2}')
    assert "cannot be read by this release" in why_not("c1")
