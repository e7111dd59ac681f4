"""What the champion has not learned, on both engines: pending, tried, or in a cycle under way."""

from __future__ import annotations

import pytest

from consumer.ledger.ledger import Ledger
from consumer.ledger.watching.unlearned import Unlearned, Waiting
from schemas.cycle import CycleKind, Outcome
from tests.contract.ledgers import P0, batch, begin, ended


def claimed(ledger: Ledger, fence: int, at: float) -> str:
    return ledger.cycles.claim(CycleKind.INCREMENTAL, "in turn", at, fence=fence).cycle_id


def test_nothing_waits_in_a_new_ledger(ledger: Ledger) -> None:
    assert ledger.unlearned.now() == Waiting()


def test_what_a_cycle_works_on_is_not_learned_yet(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b", ("a", "c")], now=100.0))
    assert ledger.unlearned.now() == Waiting(users=2, labels=1, pending=100.0, untried=100.0)
    cycle = claimed(ledger, fence, 110.0)
    ledger.intake.record(batch(P0, 3, ["a"], now=120.0))
    assert ledger.unlearned.now() == Waiting(
        users=3, labels=1, pending=120.0, untried=120.0, claimed=100.0, cycle_since=110.0
    )
    ledger.cycles.settle(ended(cycle, Outcome.REGISTERED, 1), 130.0, fence=fence)
    assert ledger.unlearned.now() == Waiting(users=1, pending=120.0, untried=120.0)


@pytest.mark.parametrize("outcome", [Outcome.REJECTED, Outcome.INCONCLUSIVE, Outcome.HELD])
def test_what_a_cycle_gave_back_is_not_learned_and_is_as_old_as_it_was(
    ledger: Ledger, fence: int, outcome: Outcome
) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a", "b"], now=100.0))
    ledger.cycles.settle(ended(claimed(ledger, fence, 110.0), outcome), 130.0, fence=fence)
    assert ledger.unlearned.now() == Waiting(users=2, pending=100.0, tried=2)
    ledger.intake.record(batch(P0, 2, ["c"], now=140.0))
    assert ledger.unlearned.now() == Waiting(users=3, pending=100.0, untried=140.0, tried=2)
    claimed(ledger, fence, 150.0)  # they ride along
    assert ledger.unlearned.now() == Waiting(users=3, claimed=100.0, cycle_since=150.0)


def test_what_a_cycle_failed_to_learn_starts_the_next_one(ledger: Ledger, fence: int) -> None:
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"], now=100.0))
    ledger.cycles.settle(ended(claimed(ledger, fence, 110.0), Outcome.FAILED), 130.0, fence=fence)
    assert ledger.unlearned.now() == Waiting(users=1, pending=100.0, untried=100.0)


def test_tried_changes_are_looked_through_only_where_there_may_be_another_answer(ledger: Ledger, fence: int) -> None:
    seconds = 0.0
    unlearned = Unlearned(ledger.engine, lambda: seconds)
    begin(ledger)
    ledger.intake.record(batch(P0, 0, ["a"], now=100.0))
    ledger.intake.record(batch(P0, 1, ["b", "c"], now=105.0))
    ledger.cycles.settle(ended(claimed(ledger, fence, 110.0), Outcome.REJECTED), 130.0, fence=fence)
    assert unlearned.now().oldest == 100.0
    ledger.intake.record(batch(P0, 3, ["a"], now=140.0))  # the oldest has changed again, and is no longer tried
    assert unlearned.now() == Waiting(users=3, pending=100.0, untried=140.0, tried=2)  # for a while it looks older
    seconds = 31.0
    assert unlearned.now().oldest == 105.0
    ledger.cycles.settle(ended(claimed(ledger, fence, 150.0), Outcome.REJECTED), 160.0, fence=fence)
    assert unlearned.now() == Waiting(users=3, pending=105.0, tried=3)  # a cycle has ended: looked through at once
