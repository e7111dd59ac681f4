"""A trainer that always fails, and a gate that always refuses: what a service does then, and tells."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from consumer.clock import Clock
from consumer.cycles.lifecycle.states import Backoff
from consumer.cycles.running import Activity
from consumer.cycles.trigger import Hold
from consumer.errors import LedgerError
from consumer.health import main as health
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.state import ListenerState
from consumer.listener.status import ListenerStatus
from consumer.service import Service
from consumer.settings import load_settings
from consumer.status import ServiceState
from retrainer.cli import app
from retrainer.doctor.checks import Severity
from retrainer.doctor.context import CheckContext
from retrainer.doctor.machine import CYCLES, machine_checks
from tests.contract.ledgers import P0, batch
from tests.integration.stand_in import StandIn
from tests.waiting import wait_until

WHY = "a trainer that dies"
AWAY = OperationalError("SELECT", {}, Exception("server closed the connection"))


class Hand:
    """A service that listens to nothing, whose turns a test makes, by clocks that run ahead as told."""

    def __init__(self, ledger: Ledger) -> None:
        self.ahead = 0.0
        self.ledger = ledger
        clock = Clock(lambda: time.time() + self.ahead, lambda: time.monotonic() + self.ahead)
        self.service = Service(load_settings(), ledger, clock)
        self.service._followers.clear()  # threads of their own, which log where the test reads
        self.clock = clock
        self._poll()

    def _poll(self) -> None:
        now = self.clock.now()
        self.service._listener.status = ListenerStatus(
            ListenerState.LISTENING,
            polled_at=now,
            polled_elapsed=self.clock.elapsed(),
            partitions=1,
            lag=0,
            caught_up=True,
        )

    def turn(self) -> None:
        self._poll()
        assert self.service._turned()

    def until(self, done: Any, what: str) -> None:
        def turned() -> bool:
            self.turn()
            return bool(done())

        wait_until(turned, 30, what)

    def tell(self) -> dict[str, Any]:
        """Let it write its status, and read all of it."""
        self.ahead += 1.5
        self.turn()
        self.service._write_status(self.service._state())
        found: dict[str, Any] = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
        return found

    def ended(self) -> int:
        return sum(cycle["ended_at"] is not None for cycle in self.ledger.views.cycles())


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    for name, value in {
        "STATE_DIR": str(tmp_path / "state"),
        "TRAINER__WARM": "false",
        "TRAINER__RETRY_WAIT": "30",
        "TRAINER__ATTEMPTS": "2",
        "TRIGGER__QUIET_PERIOD": "0",
        "TRIGGER__CHANGED_USERS": "2",
    }.items():
        monkeypatch.setenv(f"RETRAINER_{name}", value)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return StandIn(tmp_path)


@pytest.fixture
def hand(trainer: StandIn) -> Iterator[Hand]:
    with closing(open_ledger(load_settings().ledger.url)) as ledger:
        ledger.intake.start_at({P0: 0}, 0.0)
        made = Hand(ledger)
        yield made
        made.service._supervisor.stop()


def looked() -> tuple[Severity, str]:
    context = CheckContext(load_settings())
    (check,) = [check for check in machine_checks(context) if check.name == CYCLES]
    finding = check.look()
    return finding.severity, finding.found


def test_a_cycle_that_fails_is_told_with_attempts_last_error_and_next_try_until_one_ends_well(
    trainer: StandIn, hand: Hand, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer.will(None, None, {"outcome": "registered", "version": 1, "known_users": 9})
    hand.until(lambda: hand.service._supervisor.busy, "a cycle")
    hand.until(lambda: isinstance(hand.service._supervisor.state, Backoff), "the first attempt to fail")
    failing = hand.tell()["failing"]
    assert (failing["attempts"], failing["of"], failing["at_work"]) == (1, 2, False)
    assert WHY in failing["error"]
    assert 20 < failing["next_try_at"] - hand.clock.now() <= 30
    hand.ahead += 30
    hand.until(lambda: hand.ended() == 1, "the second attempt to fail")
    found = hand.tell()
    failing = found["failing"]
    assert (failing["attempts"], failing["cycles_in_a_row"], found["last_cycle"]["outcome"]) == (2, 1, "failed")
    assert found["hold"] == Hold.FAILED.value
    assert 250 < failing["next_try_at"] - hand.clock.now() <= 300
    assert failing["next_try_at"] == found["hold_until"]
    said = f"tried 2 of 2 times, last error: the trainer ended with code 1 and no result: {WHY}; next try at "
    assert said in CliRunner().invoke(app, ["status"]).stdout
    outcome, seen = looked()
    assert (outcome, said in seen) == (Severity.WARNING, True)
    capsys.readouterr()
    assert health() == 0  # a restart would not help
    assert said in capsys.readouterr().out
    hand.ahead += 300
    hand.until(lambda: hand.ended() == 2, "the next try")
    assert hand.tell()["failing"] is None
    assert looked()[0] is Severity.OK


def test_without_a_service_the_ledger_tells_what_fails(trainer: StandIn, hand: Hand) -> None:
    trainer.will(None)
    hand.until(lambda: hand.service._supervisor.busy, "a cycle")
    hand.until(lambda: isinstance(hand.service._supervisor.state, Backoff), "the first attempt to fail")
    hand.ahead += 30
    hand.until(lambda: hand.ended() == 1, "the cycle to fail")
    hand.service._write_status(ServiceState.STOPPED)
    hand.ledger.instances.leave(hand.service._own.id)
    found = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert (found["state"], found["hold"]) == ("stopped", None)
    assert (found["failing"]["attempts"], found["failing"]["next_try_at"]) == (2, None)
    assert "the next cycle that starts tries again" in looked()[1]


def test_a_cycle_that_was_cut_short_is_told_with_its_last_error_whoever_looks(trainer: StandIn, hand: Hand) -> None:
    trainer.will(None)
    hand.until(lambda: hand.service._supervisor.busy, "a cycle")
    hand.until(lambda: isinstance(hand.service._supervisor.state, Backoff), "the first attempt to fail")
    hand.service._write_status(ServiceState.STOPPED)
    hand.ledger.instances.leave(hand.service._own.id)
    found = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert found["cycle"]["state"] == Activity.TO_BE_RESUMED
    assert (found["failing"]["attempts"], found["failing"]["at_work"]) == (1, False)
    assert WHY in found["failing"]["error"]
    outcome, seen = looked()
    assert (outcome, "tried 1 of 2 times" in seen) == (Severity.WARNING, True)
    hand.service._supervisor.stop()
    again = Hand(hand.ledger)
    again.turn()
    view = again.service._supervisor.view(again.clock.now())
    assert view is not None
    assert (view["attempts"], WHY in view["last_error"]) == (1, True)
    again.service._supervisor.stop()


def test_first_versions_that_are_refused_are_tried_ever_later_and_that_is_told(trainer: StandIn, hand: Hand) -> None:
    trainer.will({"outcome": "rejected", "known_users": 1000})
    hand.until(lambda: hand.ended() == 1, "the first cycle")
    for at, wait in enumerate((3600, 7200), 1):
        at_users = hand.ledger.intake.positions("t")[P0]
        hand.ledger.intake.record(batch(P0, at_users, [f"u{at}", f"v{at}"], hand.clock.now()))
        hand.ahead += 700  # the interval is over, and enough has changed
        found = hand.tell()
        assert (found["hold"], found["cycle"]) == (Hold.REFUSED.value, None)
        assert 0 < found["hold_until"] - hand.clock.now() <= wait - 700
        hand.ahead += wait - 700
        hand.until(lambda ended=at + 1: hand.ended() == ended, "the next cycle")
    found = hand.tell()
    assert found["pending"]["untried_users"] == 0
    assert found["hold"] in {Hold.NOTHING.value, Hold.FRUITLESS.value}
    hand.ahead += 3600
    shown = CliRunner().invoke(app, ["status"]).stdout if hand.tell() else ""
    assert "(nothing new is pending)" in shown
    assert "4 users" in shown
    assert "; all tried by c000003-" in shown
    assert ", rejected: they ride with the next cycle" in shown


def test_while_the_ledger_is_away_status_tells_what_the_service_says(
    trainer: StandIn, hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.tell()
    monkeypatch.setattr(hand.ledger.leases, "current", Mock(side_effect=AWAY))
    monkeypatch.setattr(hand.ledger.leases, "renew", Mock(side_effect=AWAY))
    hand.ahead += 60
    hand._poll()
    assert not hand.service._turned()
    monkeypatch.setattr("retrainer.cli.status.open_ledger", Mock(side_effect=LedgerError("cannot open the ledger")))
    shown, as_json = (CliRunner().invoke(app, ["status", *more]) for more in ((), ("--json",)))
    for seen in (shown, as_json):
        assert seen.exit_code == 1
        assert isinstance(seen.exception, LedgerError)
    found = json.loads(as_json.stdout)
    assert (found["state"], found["hold"], found["pending"]) == ("in trouble", Hold.TROUBLE.value, None)
    assert "server closed the connection" in found["trouble"]
    assert "in trouble" in shown.stdout
    assert "unknown: the ledger does not answer" in shown.stdout
    monkeypatch.setattr("retrainer.cli.status.without_ledger", Mock(return_value=None))
    assert CliRunner().invoke(app, ["status"]).stdout == ""
