"""What the listener writes: changes, dead letters and the offsets they stand for, in one transaction (P1)."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    CursorResult,
    Engine,
    String,
    Update,
    cast,
    func,
    literal,
    select,
    update,
)

from consumer.errors import OffsetConflict
from consumer.ledger.dialect import least, upsert
from consumer.ledger.engine import reading
from consumer.ledger.pending import store_users
from consumer.ledger.tables import asked, dead_letters, gaps, offsets, replays
from schemas.cycle import CycleKind, OffsetRanges
from schemas.events import Operation
from schemas.fault_points import Point, reached


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


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


@dataclass(slots=True)
class UserChange:
    """What a batch says about one user: the last operation, how many events, the first and last of them."""

    operation: Operation
    first: Position
    last: Position
    first_event_at: float
    last_event_at: float
    events: int = 1


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
    return Load(len(letters), sum(_bounded(letter).size for letter in letters))


@dataclass(slots=True)
class Batch:
    """What was read in one poll. `progress` maps a partition to (the offset it was expected at, the next to read)."""

    received_at: float
    progress: dict[Partition, tuple[int, int]] = field(default_factory=dict)
    events: dict[Partition, int] = field(default_factory=dict)
    ignored: dict[Partition, int] = field(default_factory=dict)
    users: dict[str, UserChange] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    epochs: dict[Partition, int] = field(default_factory=dict)
    """The leader epoch of each partition's last record."""

    def add(self, user: str, operation: Operation, position: Position, event_at: float) -> None:
        """One more event of a user; the later event's operation holds."""
        if (known := self.users.get(user)) is None:
            self.users[user] = UserChange(operation, position, position, event_at, event_at)
        else:
            known.operation, known.last = operation, position
            known.last_event_at = max(known.last_event_at, event_at)
            known.events += 1


class Intake:
    """The listener's side of the ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def positions(self, topic: str) -> dict[Partition, int]:
        """The next offset to read of every known partition of a topic."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(offsets.c.partition, offsets.c.next_offset).where(offsets.c.topic == topic)
            )
            return {Partition(topic, number): next_offset for number, next_offset in rows}

    def marks(self, topic: str) -> dict[Partition, Mark]:
        """Where every known partition of a topic stands."""
        of = offsets.c
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(of.partition, of.next_offset, of.topic_id, of.leader_epoch).where(of.topic == topic)
            )
            return {Partition(topic, number): Mark(*mark) for number, *mark in rows}

    def identify(self, topic: str, topic_id: str) -> None:
        """Remember the id of a topic whose id was not known when its partitions were first read."""
        unknown = offsets.c.topic == topic, offsets.c.topic_id.is_(None)
        with self._engine.begin() as connection:
            connection.execute(update(offsets).where(*unknown).values(topic_id=topic_id))

    def start_at(self, starts: Mapping[Partition, int], now: float, topic_id: str | None = None) -> None:
        """Remember where reading begins on partitions that the ledger does not know yet; known ones are left alone."""
        with self._engine.begin() as connection:
            for partition, start in starts.items():
                row: dict[str, Any] = {"topic": partition.topic, "partition": partition.number, "updated_at": now}
                row |= {"next_offset": start, "settled_offset": start, "topic_id": topic_id}
                begun = upsert(connection, offsets).values(row)
                connection.execute(begun.on_conflict_do_nothing())

    def record(self, batch: Batch) -> None:
        """Store a batch whole: its users become pending, its dead letters are kept, and the offsets advance.

        Raises:
            OffsetConflict: a partition is not where the batch expected it; nothing is stored.
        """
        with self._engine.begin() as connection:
            for partition, (expected, following) in batch.progress.items():
                _advance(connection, batch, partition, expected, following)
            store_users(connection, batch.users, batch.received_at)
            _store_dead_letters(connection, batch.dead, batch.received_at)
            reached(Point.STORING)

    def jump(
        self,
        partition: Partition,
        expected: int,
        to: int,
        letter: DeadLetter,
        now: float,
        topic_id: str | None = None,
    ) -> None:
        """Move a partition from offset `expected` to one that does not follow from what was read.

        What lies between is on record: as a gap, and by `letter`, which says why. `topic_id` is given where the topic
        is another one now.

        Raises:
            OffsetConflict: the partition is not at `expected`; nothing is stored.
        """
        settled = least(offsets.c.settled_offset, literal(to, BigInteger))
        with self._engine.begin() as connection:
            moved = connection.execute(
                _at(partition, expected).values(
                    next_offset=to,
                    settled_offset=settled,
                    updated_at=now,
                    leader_epoch=None,
                    topic_id=func.coalesce(topic_id, offsets.c.topic_id),
                )
            )
            _expect_one(moved, partition, expected)
            if to != expected:
                gap = {"from_offset": expected, "to_offset": to, "at": now, "reason": _storable(letter.reason)}
                connection.execute(gaps.insert().values(topic=partition.topic, partition=partition.number, **gap))
            _store_dead_letters(connection, [letter], now)

    def open_letters(self) -> Load:
        """The dead letters that nobody has settled."""
        still_open = select(func.count(), func.sum(kept_bytes())).where(dead_letters.c.status == "open")
        with reading(self._engine) as connection:
            count, size = connection.execute(still_open).one()
        return Load(count, int(size or 0))

    def record_replay(self, ranges: OffsetRanges, events: int, batch: Batch) -> int:
        """Make the users of `batch` pending and ask for the backfill; live offsets stay where they are.

        Returns:
            The number of the request.
        """
        now = batch.received_at
        with self._engine.begin() as connection:
            store_users(connection, batch.users, now)
            _store_dead_letters(connection, batch.dead, now)
            row = {"ranges": ranges, "events": events, "users": len(batch.users), "at": now}
            connection.execute(replays.insert().values(row))
            request = asked.insert().values(kind=CycleKind.BACKFILL.value, by="operator", at=now)
            number = connection.execute(request).inserted_primary_key
        assert number is not None
        return int(number[0])


def kept_bytes() -> ColumnElement[int]:
    """How many bytes the ledger keeps of a dead letter, as an expression over its table."""
    letter = dead_letters.c
    binary = func.coalesce(func.length(letter.key), 0) + func.coalesce(func.length(letter.value), 0)
    return binary + func.length(cast(letter.headers, String))


def _advance(connection: Connection, batch: Batch, partition: Partition, expected: int, following: int) -> None:
    moved = connection.execute(
        _at(partition, expected).values(
            next_offset=following,
            events=offsets.c.events + batch.events.get(partition, 0),
            ignored=offsets.c.ignored + batch.ignored.get(partition, 0),
            updated_at=batch.received_at,
            leader_epoch=batch.epochs.get(partition, offsets.c.leader_epoch),
        )
    )
    _expect_one(moved, partition, expected)


def _at(partition: Partition, expected: int) -> Update:
    """A change of a partition's offsets, if it is where it is expected (compare-and-set)."""
    of_partition = offsets.c.topic == partition.topic, offsets.c.partition == partition.number
    return update(offsets).where(*of_partition, offsets.c.next_offset == expected)


def _expect_one(moved: CursorResult[Any], partition: Partition, expected: int) -> None:
    if moved.rowcount != 1:
        raise OffsetConflict(f"{partition.topic}[{partition.number}] is not at offset {expected} any more")


def _store_dead_letters(connection: Connection, letters: list[DeadLetter], now: float) -> None:
    if not letters:
        return
    rows = [
        {
            "topic": letter.position.topic,
            "partition": letter.position.partition,
            "offset": letter.position.offset,
            "event_at": letter.event_at,
            "key": letter.key,
            "value": letter.value,
            "headers": [[name, _text(value)] for name, value in letter.headers],
            "stage": letter.stage,
            "reason": _storable(letter.reason),
            "at": now,
        }
        for letter in map(_bounded, letters)
    ]
    connection.execute(upsert(connection, dead_letters).on_conflict_do_nothing(), rows)


def _storable(text: str) -> str:
    """Any text in a form that both engines take: neither stores half a surrogate pair, PostgreSQL no NUL either."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()


def _bounded(letter: DeadLetter) -> DeadLetter:
    """A letter that no ledger could take would stop its partition for good: of such a one no bytes are kept."""
    if letter.size <= MOST_BYTES:
        return letter
    reason = f"its {letter.size} bytes are more than the {MOST_BYTES} that a ledger keeps of a record; {letter.reason}"
    return replace(letter, key=None, value=None, headers=(), stage="size", reason=reason)
