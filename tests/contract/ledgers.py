"""Batches and results for the tests of the ledger."""

from __future__ import annotations

from collections.abc import Sequence

from consumer.dead_letters.letter import DeadLetter
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger
from consumer.positions import Partition, Position
from schemas.cycle import CycleResult, Outcome
from schemas.events import Operation
from schemas.labels import PairKey, pair_text

P0, P1 = Partition("t", 0), Partition("t", 1)


def take(ledger: Ledger) -> int:
    lease = ledger.leases.take("we", ledger.leases.current(), 0.0)
    assert lease is not None
    return lease.token


def batch(partition: Partition, start: int, changed: Sequence[str | PairKey], now: float = 100.0) -> Batch:
    """Events of users, and of labels where a pair is named, at consecutive offsets."""
    found = Batch(received_at=now)
    found.progress[partition] = (start, start + len(changed))
    found.events[partition] = len(changed)
    for at, who in enumerate(changed, start):
        position = str(Position(*partition, at))
        if isinstance(who, str):
            found.add(who, Operation.UPSERT, position, now - 1)
        else:
            found.add_label(pair_text(who), Operation.UPSERT, position, now - 1)
    return found


def begin(ledger: Ledger) -> None:
    ledger.intake.start_at({P0: 0, P1: 0}, 0.0)


def ended(cycle_id: str, outcome: Outcome, version: int | None = None) -> CycleResult:
    return CycleResult(
        cycle_id=cycle_id, outcome=outcome, reason="said so", base_version=None, version=version, known_users=7
    )


def passed_over(ledger: Ledger, partition: Partition, start: int, end: int, now: float = 60.0) -> None:
    letter = DeadLetter(Position(*partition, start), now, None, None, (), "gap", "gone")
    ledger.intake.jump(partition, start, end, letter, now)
