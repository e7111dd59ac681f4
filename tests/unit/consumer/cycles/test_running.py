"""What the supervisor knows of the cycle under way."""

from __future__ import annotations

from pathlib import Path

from consumer.cycles.running import Running
from consumer.ledger.cycles import Claim
from schemas.cycle import CycleKind, CycleResult, Lineage, Outcome
from schemas.stores.calls import Call, CalledAt, CallOutcome, CallReport


def result(outcome: Outcome, *calls: CallReport) -> CycleResult:
    return CycleResult(cycle_id="c1", outcome=outcome, reason="so", base_version=None, calls=calls)


def call(outcome: CallOutcome, count: int = 1) -> CallReport:
    return CallReport(where=CalledAt.REGISTRY, call=Call.ENTER, outcome=outcome, count=count, seconds=0.5 * count)


def running(folder: Path) -> Running:
    lineage = Lineage(offsets={}, changed_users=0)
    claim = Claim(
        cycle_id="c1",
        kind=CycleKind.FULL,
        reason="so",
        base_version=None,
        baseline_version=None,
        best_since=(),
        accept=(),
        lineage=lineage,
        users=(),
        labels=(),
        last_promoted_cycle=None,
        min_version_exclusive=0,
        attempts=0,
        last_error=None,
        claimed_at=0.0,
    )
    return Running.of(claim, folder, since=0.0)


def test_calls_of_failed_attempts_are_kept_with_those_of_the_last(tmp_path: Path) -> None:
    """A registry that fails twice and then takes the version has failed twice, on record."""
    cycle = running(tmp_path)
    cycle.called(result(Outcome.FAILED, call(CallOutcome.ERROR)))
    cycle.called(None)  # killed, and said nothing
    cycle.called(last := result(Outcome.REJECTED, call(CallOutcome.ERROR), call(CallOutcome.OK)))
    assert cycle.result(last, 1, 0.0).calls == (call(CallOutcome.ERROR, 2), call(CallOutcome.OK))


def test_a_result_that_was_found_on_disk_keeps_its_calls(tmp_path: Path) -> None:
    found = result(Outcome.REJECTED, call(CallOutcome.OK))
    assert running(tmp_path).result(found, 1, 0.0) == found
