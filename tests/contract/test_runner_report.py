"""Who looks from a standby, or after the service has stopped, is told of cycles what whoever runs them says."""

from __future__ import annotations

from dataclasses import replace

from consumer.cycles.failure_report import FailureReport
from consumer.cycles.runner_report import LIVE, RunnerReport
from consumer.cycles.running import Activity
from consumer.ledger.efforts import Failed
from consumer.ledger.ledger import Ledger
from consumer.status import Status
from schemas.cycle import CycleKind

HERE = Status(7, "listening", written_at=1.0, polled_at=1.0, lag=0, hold=None, cycle=None)
WAITS = {"reason": "the space has drifted", "hold": "too soon after the last full retrain", "until": 9.0}
FAILED = Failed("c1", 3, "no room", 5.0, 1)


def test_a_full_retrain_that_waits_is_told_by_whoever_runs_cycles(ledger: Ledger) -> None:
    assert RunnerReport(HERE, ledger.instances.heard_within(LIVE)).full_waits is None
    ledger.instances.report("other", replace(HERE, runs_cycles=True, full_waits=WAITS), 1.0, "b:/state")
    seen = ledger.instances.heard_within(LIVE)
    assert RunnerReport(HERE, seen).full_waits == RunnerReport(None, seen).full_waits == WAITS
    assert RunnerReport(replace(HERE, runs_cycles=True), seen).full_waits is None  # the lease has come here


def test_a_cycle_that_has_ended_since_the_service_wrote_is_not_under_way(ledger: Ledger) -> None:
    word = RunnerReport(replace(HERE, runs_cycles=True, cycle={"cycle_id": "c9", "attempts": 1}), [])
    assert word.cycle(ledger, "c8") == {"cycle_id": "c9", "attempts": 1}
    assert word.cycle(ledger, "c9") is None


def test_a_cycle_under_way_that_fails_is_told_by_the_ledger_where_nobody_runs_it(ledger: Ledger, fence: int) -> None:
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "first", 100.0, fence=fence)
    ledger.cycles.attempt(claim.cycle_id, 1, fence=fence, error="no room")
    word = RunnerReport(None, [])
    cycle = word.cycle(ledger, None)
    assert cycle is not None
    assert cycle["state"] == Activity.TO_BE_RESUMED
    said = word.failing(cycle, None, 3)
    assert said is not None
    assert "tried 1 of 3 times, last error: no room; the next cycle" in FailureReport(**said).in_words
    ledger.instances.report("other", replace(HERE, runs_cycles=True, failing=said), 1.0, "b:/state")
    word = RunnerReport(HERE, ledger.instances.heard_within(LIVE))
    cycle = word.cycle(ledger, None)
    assert cycle is not None
    assert cycle["state"] == "run by b:/state"
    assert word.failing(cycle, None, 3) == said
    assert word.failing(None, None, 3) is None  # it has ended well since
    assert word.failing(None, FAILED, 3) == said
