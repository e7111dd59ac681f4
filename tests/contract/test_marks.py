"""By what the ledger recognises a log, and what it knows of gaps, on every engine."""

from __future__ import annotations

import pytest

from consumer.dead_letters.letter import DeadLetter
from consumer.errors import OffsetConflict
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger
from consumer.positions import Partition, Position
from schemas.cycle import CycleKind, CycleResult, Outcome

P0, P1 = Partition("t", 0), Partition("t", 1)


def jump(ledger: Ledger, expected: int, to: int, now: float, topic_id: str | None = None) -> None:
    letter = DeadLetter(Position("t", 0, expected), now, None, None, (), "gap", f"from {expected} to {to}")
    ledger.intake.jump(P0, expected, to, letter, now, topic_id)


def test_the_topic_s_id_and_the_epoch_of_what_is_before_the_offset_are_kept(ledger: Ledger) -> None:
    ledger.intake.start_at({P0: 5}, 0.0, "first")
    ledger.intake.start_at({P1: 0}, 0.0)
    assert ledger.intake.marks("t") == {P0: (5, "first", None), P1: (0, None, None)}
    ledger.intake.identify("t", "second")
    ledger.intake.record(Batch(1.0, progress={P0: (5, 7), P1: (0, 1)}, epochs={P0: 3}))
    assert ledger.intake.marks("t") == {P0: (7, "first", 3), P1: (1, "second", None)}
    ledger.intake.record(Batch(2.0, progress={P0: (7, 9)}, epochs={P0: 4}))
    assert ledger.intake.marks("t")[P0] == (9, "first", 4)
    ledger.intake.record(Batch(3.0, progress={P0: (9, 10)}))  # the epoch of what was before says nothing of this
    assert ledger.intake.marks("t")[P0] == (10, "first", None)


def test_after_a_jump_the_epoch_is_unknown_and_the_topic_may_be_another(ledger: Ledger) -> None:
    ledger.intake.start_at({P0: 0}, 0.0, "first")
    ledger.intake.record(Batch(1.0, progress={P0: (0, 9)}, epochs={P0: 3}))
    jump(ledger, 9, 4, 2.0)
    assert ledger.intake.marks("t") == {P0: (4, "first", None)}
    with pytest.raises(OffsetConflict):
        jump(ledger, 9, 0, 3.0, "second")
    jump(ledger, 4, 0, 3.0, "second")
    assert ledger.intake.marks("t") == {P0: (0, "second", None)}


def test_gaps_are_open_until_a_full_retrain_that_began_after_them_is_registered(ledger: Ledger) -> None:
    lease = ledger.leases.take("we", ledger.leases.current(), 0.0)
    assert lease is not None

    def cycle(kind: CycleKind, at: float, version: int | None) -> None:
        claim = ledger.cycles.claim(kind, "asked", at, fence=lease.token)
        outcome = Outcome.REJECTED if version is None else Outcome.REGISTERED
        result = CycleResult(
            cycle_id=claim.cycle_id, outcome=outcome, reason="so", base_version=None, version=version, known_users=1
        )
        ledger.cycles.settle(result, at + 1, fence=lease.token)

    ledger.intake.start_at({P0: 0}, 0.0)
    cycle(CycleKind.BOOTSTRAP, 10.0, 1)
    jump(ledger, 0, 50, 20.0)
    cycle(CycleKind.INCREMENTAL, 30.0, 2)
    cycle(CycleKind.FULL, 40.0, None)
    (gap,) = ledger.views.open_gaps()
    assert (gap["from_offset"], gap["to_offset"], gap["reason"]) == (0, 50, "from 0 to 50")
    cycle(CycleKind.FULL, 50.0, 3)
    assert ledger.views.open_gaps() == []
