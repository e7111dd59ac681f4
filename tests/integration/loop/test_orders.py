"""`retrainer promote`, `rollback`, `pin`, `unpin`, `pause` and `resume`, as a person types them and sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from consumer.ledger.ledger import Ledger, open_ledger
from retrainer.cli import app
from schemas.cycle import CycleKind, Outcome
from tests.contract.ledgers import P0, batch, begin, ended, take


@pytest.fixture(autouse=True)
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """With versions 1 and 2, of which the second has learned `c` and `d`."""
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "registry" / "two_tower_recommender").mkdir(parents=True)
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as opened:
        begin(opened)
        fence = take(opened)
        for number, users in enumerate((["a", "b"], ["c", "d"])):
            opened.intake.record(batch(P0, 2 * number, users))
            kind = CycleKind.INCREMENTAL if number else CycleKind.BOOTSTRAP
            claim = opened.cycles.claim(kind, "enough", 200.0 + number, fence=fence)
            opened.cycles.settle(ended(claim.cycle_id, Outcome.REGISTERED, number + 1), 300.0 + number, fence=fence)
        held = opened.leases.current()
        assert held is not None
        opened.leases.release(held, 400.0)  # or `train` would wait for whoever has it
        yield opened


def told(*arguments: str, code: int = 0) -> str:
    ran = CliRunner().invoke(app, list(arguments))
    assert ran.exit_code == code, ran.output
    return f"{ran.output}{ran.exception or ''}"


def record(*arguments: str) -> Any:
    return json.loads(told(*arguments, "--json"))


def champion_file(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "registry" / "two_tower_recommender" / "champion.json").read_text())


def test_a_bad_day(tmp_path: Path) -> None:
    said = told("rollback", "--reason", "complaints", "--by", "ann")
    assert "version 1 is champion instead of version 2, by ann: complaints" in said
    assert "withdrawn: version 2; no challenger is measured against them" in said
    assert "2 users that it has not learned are pending again, as tried" in said
    assert "held down until" in said
    shown = champion_file(tmp_path)
    assert (shown["version"], shown["action"], shown["by"], shown["reason"]) == (1, "rollback", "ann", "complaints")
    lines = told("status")
    assert "hold-down" in lines
    assert "after the rollback of version 2 by ann" in " ".join(lines.split())
    status = record("status")
    assert (status["champion"], status["hold_down"]["by"], status["hold_down"]["version"]) == (1, "ann", 2)

    found = record("promote", "2", "--reason", "it was the shop", "--by", "ann")
    assert (found["version"], found["previous"], found["learned"]) == (2, 1, {"users": 2, "labels": 0})
    assert found["not_mirrored"] is None
    assert champion_file(tmp_path)["version"] == 2
    assert record("status")["hold_down"] is None


def test_who_and_why_are_on_record(ledger: Ledger) -> None:
    for order in (["promote", "1"], ["rollback"], ["pin"], ["pause"]):
        assert "--reason" in told(*order, code=2)
        assert "--reason is empty" in told(*order, "--reason", " ", code=2)
    assert "--by is empty" in told("pin", "--reason", "r", "--by", "", code=2)
    told("promote", "1", "--reason", "r")
    last = ledger.promotions.last()
    assert last is not None
    assert "@" in (last.by or "")


def test_a_champion_that_was_not_seen_is_not_replaced(ledger: Ledger) -> None:
    said = told("rollback", "1", "--reason", "r", "--instead-of", "1", code=1)
    assert "the champion is version 2, and not version 1" in said
    assert ledger.views.history().champion == 2


def test_the_champion_is_pinned_and_let_go() -> None:
    assert "version 1 is not the champion" in told("pin", "1", "--reason", "r", code=1)
    assert "version 2 is pinned" in told("pin", "2", "--reason", "an audit", "--by", "ann")
    assert "version 2 by ann" in " ".join(told("status").split())
    assert record("status")["pin"]["reason"] == "an audit"
    assert "it was by ann" in told("unpin")
    assert "no champion is pinned" in told("unpin", code=1)
    assert record("status")["pin"] is None


def test_while_cycles_are_paused_nobody_waits_for_one(ledger: Ledger) -> None:
    assert "cycles are paused" in told("pause", "--reason", "a move", "--by", "ann")
    assert "by ann" in told("status")
    ledger.intake.record(batch(P0, 4, ["e"]))
    assert "cycles are paused by ann" in told("train", code=1)
    assert ledger.retrain_requests.open("operator") is None
    assert "they were paused by ann" in told("resume")
    assert "cycles are not paused" in told("resume", code=1)
