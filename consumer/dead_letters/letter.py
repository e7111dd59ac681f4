"""A dead letter: a record that could not be understood, as it came, and what is on record about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from consumer.positions import Position

Headers = Sequence[tuple[str, bytes | None]]
"""A record's headers, in order; a name may come twice."""

Status = Literal["open", "replayed", "discarded"]

WITHOUT_BYTES = frozenset({"gap", "fetch", "size"})
"""Stages whose letters hold no record: it was lost, could not be parsed, or is too big for a ledger."""

MOST_BYTES = 128 * 2**20
"""The most bytes that are kept of one letter: SQLite and PostgreSQL take no row of more than about a gigabyte."""


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
        """How many bytes of the record there are to keep."""
        headers = sum(len(name) + len(value or b"") for name, value in self.headers)
        return len(self.key or b"") + len(self.value or b"") + headers


class Load(NamedTuple):
    """Dead letters: how many, and how many bytes of them are kept."""

    letters: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What is on record about a letter, without its bytes, of which there are `size`."""

    id: int
    position: Position
    event_at: float
    stored_at: float
    stage: str
    reason: str
    status: Status
    settled_at: float | None
    settled_reason: str | None
    published: bool
    size: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A letter with all that is on record about it."""

    entry: Entry
    letter: DeadLetter


def load_of(letters: Sequence[DeadLetter]) -> Load:
    """What these letters would add to the ledger."""
    return Load(len(letters), sum(bounded(letter).size for letter in letters))


def bounded(letter: DeadLetter) -> DeadLetter:
    """The letter as a ledger can take it: without bytes above `MOST_BYTES`, or it would stop its partition for good."""
    if letter.size <= MOST_BYTES:
        return letter
    reason = f"its {letter.size} bytes are more than the {MOST_BYTES} that a ledger keeps of a record; {letter.reason}"
    return replace(letter, key=None, value=None, headers=(), stage="size", reason=reason)
