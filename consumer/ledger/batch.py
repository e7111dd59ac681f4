"""What the listener hands to the ledger: a batch of changes and dead letters, and where they stand in the topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from msgspec import Struct

from consumer.record_times import Unit
from schemas.events import Operation


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.number}]"


class Position(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Mark(NamedTuple):
    """Where a partition stands, and by what its log is recognised; None where that is not known."""

    next_offset: int
    topic_id: str | None
    leader_epoch: int | None
    """Of the record before `next_offset`."""


class KeyChange(Struct, gc=False):
    """What a batch says about one user or label: the last operation, how many events, the first and last of them.

    Positions are text, as the ledger keeps them: one is made for every event.
    """

    operation: Operation
    first: str
    last: str
    first_event_at: float
    last_event_at: float
    events: int = 1


class LabelChange(Struct, frozen=True, gc=False):
    """The label whose `schemas.labels.pair_text` is `key` may have changed; what `Change` is to a user."""

    key: str
    operation: Operation


Headers = Sequence[tuple[str, bytes | None]]
"""A record's headers, in order; a name may come twice."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be understood, as it came, and why."""

    position: Position
    event_at: float
    key: bytes | None
    value: bytes | None
    headers: Headers
    stage: str
    reason: str
    timestamp: int | None = field(default=None, compare=False)
    """What the record itself says of its time, usable or not; None where that is `event_at`. It is not kept as such."""

    @property
    def recorded_ms(self) -> int:
        """The record's own time in milliseconds, the same at every reading."""
        return round(self.event_at * 1000) if self.timestamp is None else self.timestamp

    @property
    def size(self) -> int:
        """How many bytes of it there are to keep."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


MOST_BYTES = 128 * 2**20
"""The most bytes that are kept of one letter: SQLite and PostgreSQL take no row of more than about a gigabyte."""


class Load(NamedTuple):
    """Dead letters: how many, and how many bytes of them are kept."""

    letters: int
    bytes: int


def load_of(letters: Sequence[DeadLetter]) -> Load:
    """What these would add to the ledger."""
    return Load(len(letters), sum(bounded(letter).size for letter in letters))


@dataclass(slots=True)
class Batch:
    """What was read in one poll. `progress` maps a partition to (the offset it was expected at, the next to read)."""

    received_at: float
    progress: dict[Partition, tuple[int, int]] = field(default_factory=dict)
    events: dict[Partition, int] = field(default_factory=dict)
    ignored: Counter[tuple[Partition, str]] = field(default_factory=Counter)
    """How many events of a partition are none of ours, by the reason why."""
    users: dict[str, KeyChange] = field(default_factory=dict)
    labels: dict[str, KeyChange] = field(default_factory=dict)
    """By `schemas.labels.pair_text`."""
    dead: list[DeadLetter] = field(default_factory=list)
    units: Counter[tuple[str, Unit]] = field(default_factory=Counter)
    """How many records of a topic had their time in another unit than milliseconds."""
    epochs: dict[Partition, int] = field(default_factory=dict)
    """The leader epoch of what was read last of each partition, be it a transaction marker."""

    def add(self, user: str, operation: Operation, position: str, event_at: float) -> None:
        """One more event of a user, at a `str(Position)`; the later event's operation holds."""
        add_to(self.users, user, operation, position, event_at)

    def add_label(self, pair: str, operation: Operation, position: str, event_at: float) -> None:
        """One more event of a label, in the same way."""
        add_to(self.labels, pair, operation, position, event_at)


def add_to(changed: dict[str, KeyChange], key: str, operation: Operation, position: str, event_at: float) -> None:
    """One more event of what `key` names."""
    if (known := changed.get(key)) is None:
        changed[key] = KeyChange(operation, position, position, event_at, event_at)
        return
    known.operation, known.last = operation, position
    known.events += 1
    if event_at > known.last_event_at:
        known.last_event_at = event_at


def bounded(letter: DeadLetter) -> DeadLetter:
    """A letter that no ledger could take would stop its partition for good: of such a one no bytes are kept."""
    if letter.size <= MOST_BYTES:
        return letter
    reason = f"its {letter.size} bytes are more than the {MOST_BYTES} that a ledger keeps of a record; {letter.reason}"
    return replace(letter, key=None, value=None, headers=(), stage="size", reason=reason)
