"""What the listener hands to the ledger: a batch of changes and dead letters, with their offsets."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from consumer.changes.change import KeyChange, add_to
from consumer.dead_letters.letter import DeadLetter
from consumer.positions import Partition
from consumer.record_times import Unit
from schemas.events import Operation


@dataclass(slots=True)
class Batch:
    """The content of one or more polls. `progress` maps a partition to (the expected offset, the next offset to read).

    `received_at` is when the last records arrived, and `since` when the first did, where that was another moment.
    """

    received_at: float
    progress: dict[Partition, tuple[int, int]] = field(default_factory=dict)
    events: dict[Partition, int] = field(default_factory=dict)
    ignored: Counter[tuple[Partition, str]] = field(default_factory=Counter)
    """How many events of a partition are ignored, by the reason."""
    users: dict[str, KeyChange] = field(default_factory=dict)
    labels: dict[str, KeyChange] = field(default_factory=dict)
    """By `schemas.labels.pair_text`."""
    dead: list[DeadLetter] = field(default_factory=list)
    units: Counter[tuple[str, Unit]] = field(default_factory=Counter)
    """How many records of a topic had their time in another unit than milliseconds."""
    epochs: dict[Partition, int] = field(default_factory=dict)
    """The leader epoch of the last record of each partition, also where that is a transaction marker."""
    since: float | None = None

    @property
    def newest_event_at(self) -> float | None:
        """The time of the newest event of a user or a label; None where there is none."""
        return max((change.last_event_at for of in (self.users, self.labels) for change in of.values()), default=None)

    def add(self, user: str, operation: Operation, position: str, event_at: float) -> None:
        """Add an event of a user, at a `str(Position)`; the later event's operation holds."""
        add_to(self.users, user, operation, position, event_at)

    def add_label(self, pair: str, operation: Operation, position: str, event_at: float) -> None:
        """Add an event of a label in the same way."""
        add_to(self.labels, pair, operation, position, event_at)
