"""Cycles that were held, that found nothing to learn, that ask for more: what operators see of them, and can do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from consumer.clock import Clock
from consumer.cycles.trigger import Hold
from consumer.health import main as health
from consumer.identity import identity
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.state import ListenerState
from consumer.listener.status import ListenerStatus
from consumer.service import Service
from consumer.settings import load_settings
from consumer.status import read_status
from retrainer.cli import app
from retrainer.doctor.checks import Severity
from retrainer.doctor.context import CheckContext
from retrainer.doctor.machine import CYCLES, machine_checks
from schemas.cycle import CycleKind
from tests.contract.ledgers import P0, batch
from tests.integration.stand_in import StandIn
from tests.leading import leading
from tests.waiting import wait_until

FIRST = {"outcome": "registered", "version": 1}
LIMIT = "of 1,500 users read 50.3 % were refused, more than the limit of 10 % (RETRAINER_GUARD__REFUSED_SHARE)"
WAY_OUT = "look at the rows; if they are right: `retrainer train --accept REFUSED_SHARE`"
HELD = {"outcome": "held", "reason": LIMIT, "way_out": WAY_OUT}
GONE = {
    "outcome": "held",
    "reason": "version 1, the champion, is not in the registry",
    "way_out": "restore it, or `retrainer train --full`",
}
WHY = "a fresh start is 0.04 better than the champion"


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("RETRAINER_TRAINER__WARM", "false")
    monkeypatch.setenv("RETRAINER_TRAINER__RETRY_WAIT", "0.05")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr("retrainer.cli.train.configure", lambda _: None)  # or logs go where the command's output went
    monkeypatch.chdir(tmp_path)
    return StandIn(tmp_path)


@pytest.fixture
def ledger(trainer: StandIn) -> Iterator[Ledger]:
    """With a first version, that has learned `a`."""
    with closing(open_ledger(load_settings().ledger.url)) as opened:
        opened.intake.start_at({P0: 0}, 0.0)
        arrive(opened, "a")
        trainer.will(FIRST)
        assert call("train", "--full").exit_code == 0
        yield opened


def arrive(ledger: Ledger, user: str) -> None:
    at = ledger.intake.positions("t")[P0]
    ledger.intake.record(batch(P0, at, [user], time.time() - 1))


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def told() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call("status", "--json").stdout)
    return found


def looked() -> tuple[Severity, str, str | None]:
    context = CheckContext(load_settings())
    (check,) = [check for check in machine_checks(context) if check.name == CYCLES]
    finding = check.look()
    return finding.severity, finding.found, finding.todo


@pytest.mark.full
@pytest.mark.parametrize("result", [HELD, GONE], ids=["data", "champion"])
def test_a_held_cycle_is_told_with_figure_and_way_out_until_a_cycle_ends_otherwise(
    trainer: StandIn, ledger: Ledger, result: dict[str, Any]
) -> None:
    arrive(ledger, "b")
    trainer.will(result, None, None, None, {"outcome": "unchanged"})
    ended = call("train")
    assert ended.exit_code == 1
    assert f"held: {result['reason']}\nto do: {result['way_out']}" in ended.stdout
    seen = told()
    assert (seen["held"]["reason"], seen["held"]["way_out"]) == (result["reason"], result["way_out"])
    assert (seen["pending"]["users"], seen["last_cycle"]["outcome"]) == (1, "held")
    assert {result["reason"], f"to do: {result['way_out']}"} <= lines_of(call("status"))
    outcome, found, todo = looked()
    assert (outcome, todo) == (Severity.FAILED, result["way_out"])
    assert found.endswith(f"was held: {result['reason']}")
    assert call("train").exit_code == 1  # this one dies, which tells nothing of the data
    assert told()["held"] is not None
    assert call("train").exit_code == 0
    assert (told()["held"], told()["pending"]["users"]) == (None, 0)
    assert looked()[0] is Severity.OK


def lines_of(result: Result) -> set[str]:
    """What a table says, line by line, without the names."""
    return {line[line.find("  ") :].strip() for line in result.stdout.splitlines()}


def test_a_limit_is_accepted_for_one_cycle_and_that_is_on_record(trainer: StandIn, ledger: Ledger) -> None:
    arrive(ledger, "b")
    trainer.will(HELD)
    for arguments, accepted in (
        (["--accept", "REFUSED_SHARE", "--accept", "lost_pairs"], ["lost_pairs", "refused_share"]),
        ([], []),
    ):
        call("train", *arguments)
        assert trainer.requests()[-1]["accept"] == accepted
        assert ledger.views.cycles()[-1]["accept"] == accepted


def test_a_limit_that_there_is_not_is_refused_with_those_that_there_are(trainer: StandIn) -> None:
    found = call("train", "--accept", "EVERYTHING")
    assert found.exit_code == 2
    assert "refused_share" in found.output
    assert "moved_share" in found.output


def test_a_cycle_that_is_tried_again_or_resumed_keeps_what_was_accepted(trainer: StandIn, ledger: Ledger) -> None:
    arrive(ledger, "b")
    trainer.will(None, {"outcome": "unchanged"})
    assert call("train", "--accept", "REFUSED_SHARE").exit_code == 0
    assert [request["accept"] for request in trainer.requests()] == [["refused_share"]] * 2


def test_an_unchanged_cycle_is_told_and_registers_nothing(trainer: StandIn, ledger: Ledger) -> None:
    arrive(ledger, "b")
    trainer.will({"outcome": "unchanged", "reason": "no candidate is better on dev", "asks_full": WHY})
    ended = call("train")
    assert ended.exit_code == 0
    assert "unchanged: no candidate is better on dev" in ended.stdout
    assert f"a full retrain is asked for: {WHY}" in ended.stdout
    seen = told()
    assert (seen["champion"], seen["pending"]["users"], seen["cycles_since_version"]) == (1, 0, {"unchanged": 1})
    assert seen["asks_full"] == WHY
    assert f"asked for, and starts by itself: {WHY}" in lines_of(call("status"))
    arrive(ledger, "c")
    trainer.will({"outcome": "registered", "version": 2})
    assert call("train").exit_code == 0
    assert trainer.requests()[0]["lineage"]["unchanged_users"] == 1
    assert trainer.requests()[0]["last_promoted_cycle"] == ledger.views.cycles()[-2]["cycle_id"]
    assert json.loads(call("versions", "--json").stdout)[-1]["unchanged_users"] == 1


def test_a_full_retrain_that_does_not_start_by_itself_is_a_warning(
    trainer: StandIn, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(ledger, "b")
    trainer.will({"outcome": "rejected", "asks_full": WHY})
    call("train")
    assert looked()[0] is Severity.OK
    monkeypatch.setenv("RETRAINER_TRIGGER__FULL_ON_DRIFT", "false")
    assert looked() == (Severity.WARNING, f"a full retrain is asked for: {WHY}", "`retrainer train --full`")
    assert f"asked for, and `retrainer train --full` starts it: {WHY}" in lines_of(call("status"))


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now, self._ahead = time.time(), time.time() - time.monotonic()

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: self.now - self._ahead)


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def service(ledger: Ledger, clock: Hand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """One that listens to nothing: the test makes its turns."""
    monkeypatch.setenv("RETRAINER_TRIGGER__CHANGED_USERS", "1")
    made = Service(load_settings(), ledger, clock.clock)
    made._followers.clear()  # threads of their own, which log where the test reads
    made._listener.status = ListenerStatus(
        ListenerState.LISTENING, polled_at=time.time(), partitions=1, lag=0, caught_up=True
    )
    yield made
    made._supervisor.stop()


def turn_until_idle(service: Service, ledger: Ledger, cycles: int) -> None:
    """The service's turns until so many cycles have ended."""

    def ended() -> bool:
        assert service._turned()
        return len([cycle for cycle in ledger.views.cycles() if cycle["ended_at"]]) == cycles

    wait_until(ended, 30, f"{cycles} cycles to end")
    assert service._turned()


def test_a_corrupt_stream_is_tried_ever_later_and_health_and_state_tell_why(
    trainer: StandIn, ledger: Ledger, service: Service, clock: Hand, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer.will(HELD, HELD, {"outcome": "unchanged"})
    clock.now += 1000
    arrive(ledger, "b")
    turn_until_idle(service, ledger, 2)
    for wait, cycles in ((300, 3), (600, 4)):
        clock.now += 1.5  # the status is written once a second
        arrive(ledger, "b")
        assert service._turned()
        status = read_status(load_settings().status_file)
        assert status is not None
        assert (status.state, status.hold, status.held) == ("held", Hold.HELD.value, f"{LIMIT}; to do: {WAY_OUT}")
        assert health() == 1
        assert f"held: {LIMIT}; to do: {WAY_OUT}" in capsys.readouterr().out
        clock.now += wait - 10
        assert service._turned()
        assert not service._supervisor.busy
        clock.now += 10
        turn_until_idle(service, ledger, cycles)
    clock.now += 1.5
    assert service._turned()
    status = read_status(load_settings().status_file)
    assert status is not None
    assert status.held is None
    assert ledger.views.backlog().users == 0


def test_a_drifted_space_is_trained_anew_by_itself(
    trainer: StandIn, ledger: Ledger, service: Service, clock: Hand
) -> None:
    trainer.will(
        {"outcome": "unchanged", "asks_full": WHY},
        {"outcome": "rejected"},
        {"outcome": "unchanged", "asks_full": WHY},
        {"outcome": "registered", "version": 2},
    )
    clock.now += 100_000
    arrive(ledger, "b")
    turn_until_idle(service, ledger, 2)
    clock.now += 400
    turn_until_idle(service, ledger, 3)
    assert (trainer.requests()[-1]["kind"], trainer.requests()[-1]["reason"]) == ("full", "the space has drifted")
    clock.now += 400
    arrive(ledger, "c")
    turn_until_idle(service, ledger, 4)
    clock.now += 80_000
    assert service._turned()
    assert not service._supervisor.busy  # within the interval, though it is asked for again
    clock.now += 10_000
    turn_until_idle(service, ledger, 5)
    assert [request["kind"] for request in trainer.requests()] == ["incremental", "full", "incremental", "full"]
    assert ledger.retrain_requests.why_full() is None


def test_a_service_that_is_asked_hands_over_what_was_accepted(
    trainer: StandIn, ledger: Ledger, service: Service
) -> None:
    arrive(ledger, "b")
    trainer.will(HELD)
    ledger.retrain_requests.ask(CycleKind.INCREMENTAL, "operator", time.time(), ["refused_share"])  # type: ignore[list-item]
    turn_until_idle(service, ledger, 2)
    assert trainer.requests()[0]["accept"] == ["refused_share"]


def test_a_held_result_that_was_left_unsettled_is_settled_at_the_next_start(
    trainer: StandIn, ledger: Ledger, service: Service
) -> None:
    leader = leading(ledger, identity(load_settings().state_dir).id)
    arrive(ledger, "b")
    claim = ledger.cycles.claim(CycleKind.INCREMENTAL, "enough", time.time(), fence=leader.fence)
    folder = load_settings().work_dir / "cycles" / claim.cycle_id
    folder.mkdir(parents=True)
    result = {"cycle_id": claim.cycle_id, "base_version": 1, "fence": leader.fence, **HELD}
    (folder / "result.json").write_text(json.dumps(result))
    trainer.will(HELD)
    turn_until_idle(service, ledger, 2)
    assert trainer.requests() == []
    held = ledger.views.history().held
    assert held is not None
    assert held.cycle_id == claim.cycle_id
