"""Cron hears of what a person has to look at, and of nothing else."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from consumer.cycles.failure_report import FailureReport
from consumer.ledger.ledger import open_ledger
from retrainer.cli.status_check import problems
from tests.commands import call
from tests.unit.retrainer.cli.test_status_rows import QUIET

WELL: dict[str, Any] = {**QUIET, "state_dir": "/state", "unable": None}
FAILING = asdict(FailureReport("c7", 2, 3, 0, "the store is away", False, None))


def test_a_service_that_works_is_no_problem() -> None:
    assert problems(WELL) == []
    assert problems({**WELL, "state": "training", "pending": {"users": 9, "untried_users": 9}}) == []
    assert problems({**WELL, "pause": {"by": "ann", "at": "now", "reason": "holidays"}}) == []
    assert problems({**WELL, "asks_full": "the space has drifted"}) == [], "it starts by itself"
    for state in ("none", "kept", "at_risk"):
        assert problems({**WELL, "freshness": {"state": state, "reason": "it may be kept yet"}}) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"state": "never started"}, "no service runs on /state: never started"),
        ({"state": "not responding"}, "no service runs on /state: not responding"),
        ({"state": "stopped"}, "no service runs on /state: stopped"),
        ({"trouble": "the disk is full"}, "the disk is full"),
        ({"unable": "no partition"}, "no partition"),
        ({"notice": "none of the last 100 events is ours"}, "none of the last 100 events is ours"),
        ({"pending": None}, "the ledger sqlite:///ledger.db does not answer"),
        ({"held": {"reason": "too many", "way_out": "look"}}, "held: too many; to do: look"),
        ({"failing": FAILING}, "cycle c7 fails: the store is away"),
        (
            {"asks_full": "drift", "full_on_drift": False},
            "a full retrain is asked for: drift; `retrainer train --full`",
        ),
        ({"open_dead_letters": 3}, "3 dead letters are open: see `retrainer dead-letters list`"),
        (
            {"freshness": {"state": "broken", "reason": "a change is 2h old; do something"}},
            "freshness: a change is 2h old; do something",
        ),
        ({"gaps": [{}]}, "1 gaps since the last full retrain: events were lost, see `retrainer status`"),
    ],
)
def test_each_problem_is_told_in_a_line(found: dict[str, Any], said: str) -> None:
    assert problems({**WELL, **found}) == [said]


def test_a_flood_of_dead_letters_is_told_once() -> None:
    (line,) = problems({**WELL, "state": "too many dead letters", "open_dead_letters": 100_000})
    assert line.startswith("reading has paused")


def test_the_command_exits_with_one_where_something_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    called = call("status", "--check")
    assert (called.code, "there is no ledger" in called.out, called.err) == (1, True, "")
    open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}").close()
    called = call("status", "--check", "--json")
    assert called.code == 1
    assert called.out == f'{{"problems": ["no service runs on {tmp_path}: never started"]}}\n'
