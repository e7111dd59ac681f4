"""What the listener writes: changes, dead letters and the offsets they stand for, in one transaction (P1)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, CursorResult, Engine, Update, case, func, literal, select, update

from consumer.errors import OffsetConflict
from consumer.ledger.dialect import greatest, least, upsert
from consumer.ledger.engine import reading
from consumer.ledger.tables import PENDING, asked, changes, dead_letters, gaps, offsets, replays
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


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be understood, as it came, and why."""

    position: Position
    event_at: float
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes]
    stage: str
    reason: str


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
            _store_users(connection, batch.users, batch.received_at)
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

    def record_replay(self, ranges: OffsetRanges, events: int, batch: Batch) -> int:
        """Make the users of `batch` pending and ask for the backfill; live offsets stay where they are.

        Returns:
            The number of the request.
        """
        now = batch.received_at
        with self._engine.begin() as connection:
            _store_users(connection, batch.users, now)
            _store_dead_letters(connection, batch.dead, now)
            row = {"ranges": ranges, "events": events, "users": len(batch.users), "at": now}
            connection.execute(replays.insert().values(row))
            request = asked.insert().values(kind=CycleKind.BACKFILL.value, by="operator", at=now)
            number = connection.execute(request).inserted_primary_key
        assert number is not None
        return int(number[0])


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


def _store_users(connection: Connection, users: Mapping[str, UserChange], now: float) -> None:
    if not users:
        return
    new = upsert(connection, changes)
    old = changes.c
    merged = new.on_conflict_do_update(
        index_elements=[old.user_id, old.cycle_id],
        set_={
            "operation": new.excluded.operation,
            "events": old.events + new.excluded.events,
            "last_position": new.excluded.last_position,
            "first_event_at": least(old.first_event_at, new.excluded.first_event_at),
            "last_event_at": greatest(old.last_event_at, new.excluded.last_event_at),
            "fresh_since": case(
                (old.tried, new.excluded.fresh_since), else_=least(old.fresh_since, new.excluded.fresh_since)
            ),
            "received_at": new.excluded.received_at,
            "tried": False,
        },
    )
    rows = [
        {
            "user_id": user,
            "cycle_id": PENDING,
            "operation": change.operation.value,
            "events": change.events,
            "first_position": str(change.first),
            "last_position": str(change.last),
            "first_event_at": change.first_event_at,
            "last_event_at": change.last_event_at,
            # A producer's clock that runs ahead must not make a change look fresher than it is.
            "fresh_since": min(change.first_event_at, now),
            "received_at": now,
            "tried": False,
        }
        for user, change in users.items()
    ]
    connection.execute(merged, rows)


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
            "headers": {name: base64.b64encode(value).decode() for name, value in letter.headers.items()},
            "stage": letter.stage,
            "reason": _storable(letter.reason),
            "at": now,
        }
        for letter in letters
    ]
    connection.execute(upsert(connection, dead_letters).on_conflict_do_nothing(), rows)


def _storable(text: str) -> str:
    """Any text in a form that both engines take: neither stores half a surrogate pair, PostgreSQL no NUL either."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
