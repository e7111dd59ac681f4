"""The ledger tells what the last cycles came to, for the trigger to space the next ones by."""

from __future__ import annotations

from typing import Any

import pytest

from consumer.clock import Clock
from consumer.cycles.deciding import Deciding
from consumer.cycles.trigger import Reason, Start
from consumer.ledger.efforts import Efforts, Failed, efforts
from consumer.ledger.ledger import Ledger
from schemas.cycle import CycleKind, Outcome
from schemas.policies import TriggerPolicy
from tests.contract.ledgers import P0, batch, begin, ended

BOOTSTRAP, FULL, INCREMENTAL = CycleKind.BOOTSTRAP, CycleKind.FULL, CycleKind.INCREMENTAL
NONE = Efforts(0, None, 0, None, 0, ())


def run(ledger: Ledger, fence: int, kind: CycleKind, outcome: Outcome, at: float, **more: Any) -> str:
    """A cycle that ends at a time."""
    claim = ledger.cycles.claim(kind, more.get("reason", "drift"), at - 10, fence=fence)
    for number in range(1, more.get("attempts", 0) + 1):
        ledger.cycles.attempt(claim.cycle_id, number, fence=fence)
    result = ended(claim.cycle_id, outcome, version=more.get("version"))
    result = result.model_copy(update={"base_version": claim.base_version})
    ledger.cycles.settle(result, at, fence=fence)
    return claim.cycle_id


def test_before_the_first_cycle_there_is_nothing_to_tell(ledger: Ledger, fence: int) -> None:
    assert efforts(ledger.engine, ["drift"], 6) == NONE
    ledger.cycles.claim(BOOTSTRAP, "first", 100.0, fence=fence)
    assert efforts(ledger.engine, ["drift"], 6) == NONE


def test_cycles_that_settled_nothing_are_counted_since_one_that_did(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    run(ledger, fence, INCREMENTAL, Outcome.REJECTED, 50.0)
    run(ledger, fence, BOOTSTRAP, Outcome.REGISTERED, 100.0, version=1)
    assert efforts(ledger.engine, ["drift"], 6) == Efforts(0, None, 0, None, 0, (100.0,))
    for at, outcome in enumerate((Outcome.REJECTED, Outcome.INCONCLUSIVE, Outcome.HELD, Outcome.FAILED), 2):
        run(ledger, fence, INCREMENTAL, outcome, 100.0 * at)
    assert efforts(ledger.engine, ["drift"], 6).fruitless_in_a_row == 4
    run(ledger, fence, INCREMENTAL, Outcome.UNCHANGED, 700.0)
    assert efforts(ledger.engine, ["drift"], 6).fruitless_in_a_row == 0


def test_cycles_from_scratch_that_were_refused_are_told_whoever_asked_for_them(ledger: Ledger, fence: int) -> None:
    run(ledger, fence, FULL, Outcome.REJECTED, 100.0, reason="operator asked")
    run(ledger, fence, FULL, Outcome.INCONCLUSIVE, 200.0)
    run(ledger, fence, INCREMENTAL, Outcome.REJECTED, 300.0)
    run(ledger, fence, FULL, Outcome.FAILED, 400.0)
    run(ledger, fence, FULL, Outcome.HELD, 500.0)
    found = efforts(ledger.engine, ["drift"], 6)
    assert (found.refused_from_scratch, found.last_refused_from_scratch) == (2, 200.0)


def test_full_retrains_that_failed_in_a_row_are_counted_past_what_else_was_settled(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    run(ledger, fence, BOOTSTRAP, Outcome.REGISTERED, 100.0, version=1)
    run(ledger, fence, FULL, Outcome.FAILED, 200.0)
    run(ledger, fence, INCREMENTAL, Outcome.REGISTERED, 300.0, version=2)
    run(ledger, fence, FULL, Outcome.FAILED, 400.0)
    run(ledger, fence, INCREMENTAL, Outcome.FAILED, 500.0)
    assert efforts(ledger.engine, (), 0).failed_fulls == 2
    run(ledger, fence, FULL, Outcome.REJECTED, 600.0)
    assert efforts(ledger.engine, (), 0).failed_fulls == 0


def test_of_those_from_scratch_the_newest_are_told_that_nobody_asked_for_and_that_judged_a_model(
    ledger: Ledger, fence: int
) -> None:
    run(ledger, fence, BOOTSTRAP, Outcome.REJECTED, 100.0, reason="first")
    for at in (200.0, 300.0, 400.0):
        run(ledger, fence, FULL, Outcome.REJECTED, at)
    run(ledger, fence, FULL, Outcome.REJECTED, 500.0, reason="operator asked")
    run(ledger, fence, FULL, Outcome.FAILED, 600.0)
    run(ledger, fence, FULL, Outcome.HELD, 650.0)
    run(ledger, fence, INCREMENTAL, Outcome.REJECTED, 700.0)
    assert efforts(ledger.engine, ["drift", "first"], 3).full_ends == (400.0, 300.0, 200.0)
    assert efforts(ledger.engine, ["drift", "first"], 9).full_ends == (400.0, 300.0, 200.0, 100.0)
    assert efforts(ledger.engine, (), 0).full_ends == ()


@pytest.mark.parametrize("attempts", [0, 2])
def test_what_fails_is_told_with_its_attempts_and_how_many_failed_in_a_row(
    ledger: Ledger, fence: int, attempts: int
) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"]))
    run(ledger, fence, INCREMENTAL, Outcome.FAILED, 100.0)
    run(ledger, fence, INCREMENTAL, Outcome.REJECTED, 200.0)
    assert efforts(ledger.engine, (), 0).failed is None
    run(ledger, fence, INCREMENTAL, Outcome.FAILED, 300.0)
    last = run(ledger, fence, INCREMENTAL, Outcome.FAILED, 400.0, attempts=attempts)
    assert efforts(ledger.engine, (), 0).failed == Failed(last, attempts + 1, "said so", 400.0, 2)


def test_a_cycle_that_is_resumed_is_known_with_why_its_last_attempt_failed(ledger: Ledger, fence: int) -> None:
    claim = ledger.cycles.claim(BOOTSTRAP, "first", 100.0, fence=fence)
    assert (claim.attempts, claim.last_error) == (0, None)
    for number, error in enumerate(("no room", "the store\0 is \udcff away"), 1):
        ledger.cycles.attempt(claim.cycle_id, number, fence=fence, error=error)
    found = ledger.cycles.running()
    assert found is not None
    assert (found.attempts, found.last_error) == (2, "the store\\x00 is \\udcff away")


def test_an_operator_has_what_was_given_back_tried_again_though_not_all_is_read(ledger: Ledger, fence: int) -> None:
    """The broker is away, say, after a cycle was held: `train --accept` is what was asked for."""
    begin(ledger)
    run(ledger, fence, BOOTSTRAP, Outcome.REGISTERED, 100.0, version=1)
    ledger.intake.record(batch(P0, 0, ["b"], now=150.0))
    run(ledger, fence, INCREMENTAL, Outcome.HELD, 200.0)
    ledger.retrain_requests.ask(INCREMENTAL, "operator", 300.0)
    found = Deciding(TriggerPolicy(), ledger, Clock()).decide(busy=False, probing=False, caught_up=False)
    assert (found.pending_users, found.outcome) == (0, Start(Reason.OPERATOR))


@pytest.mark.parametrize("more", [1, 3])
def test_what_was_refused_starts_no_cycle_because_a_later_one_failed(ledger: Ledger, fence: int, more: int) -> None:
    """It had become as new as what no cycle has tried, and stale at that: each failure cost one more refusal."""
    begin(ledger)
    run(ledger, fence, BOOTSTRAP, Outcome.REGISTERED, 100.0, version=1)
    ledger.intake.record(batch(P0, 0, ["a", "b"], now=150.0))
    run(ledger, fence, INCREMENTAL, Outcome.INCONCLUSIVE, 200.0)
    ledger.intake.record(batch(P0, 2, ["c"], now=250.0))
    claim = ledger.cycles.claim(INCREMENTAL, "stale", 300.0, fence=fence)
    assert claim.users == ("a", "b", "c")
    ledger.intake.record(batch(P0, 3, ["b", *(f"d{n}" for n in range(more * 2))], now=350.0))
    failed = ended(claim.cycle_id, Outcome.FAILED).model_copy(update={"base_version": claim.base_version})
    ledger.cycles.settle(failed, 400.0, fence=fence)
    found = ledger.views.backlog()
    assert (found.users, found.untried, found.oldest_change) == (3 + 2 * more, 2 + 2 * more, 250.0)
    assert ledger.views.miscounted() == []
