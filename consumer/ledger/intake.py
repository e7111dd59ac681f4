"""What the listener writes: changes, dead letters and the offsets they stand for, in one transaction (P1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    CursorResult,
    Engine,
    Update,
    func,
    literal,
    select,
    update,
)

from consumer.changes.kinds import LABELS, USERS
from consumer.changes.pending import store_changes
from consumer.database.dialect import least, upsert
from consumer.database.engine import reading
from consumer.database.tables import gaps, ignored, offsets, replays, retrain_requests
from consumer.dead_letters.letter import DeadLetter, Load
from consumer.dead_letters.store import adopt_letters, open_letters, store_letters
from consumer.errors import OffsetConflict
from consumer.ledger.batch import Batch
from consumer.positions import Mark, Partition
from schemas.cycle import CycleKind
from schemas.fault_points import Point, reached
from schemas.spans import united


class Intake:
    """What the listener reads and writes of the ledger."""

    def __init__(self, engine: Engine, ledger_id: str = "") -> None:
        self.ledger_id = ledger_id
        """The id that tells this ledger from others."""
        self._engine = engine

    def positions(self, topic: str) -> dict[Partition, int]:
        """The next offset to read of every known partition of a topic."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(offsets.c.partition, offsets.c.next_offset).where(offsets.c.topic == topic)
            )
            return {Partition(topic, number): next_offset for number, next_offset in rows}

    def marks(self, topic: str) -> dict[Partition, Mark]:
        """Where reading of every known partition of a topic stands."""
        of = offsets.c
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(of.partition, of.next_offset, of.topic_id, of.leader_epoch).where(of.topic == topic)
            )
            return {Partition(topic, number): Mark(*mark) for number, *mark in rows}

    def identify(self, topic: str, topic_id: str) -> None:
        """Store the id of a topic whose partitions were first read without knowing the id."""
        unknown = offsets.c.topic == topic, offsets.c.topic_id.is_(None)
        with self._engine.begin() as connection:
            connection.execute(update(offsets).where(*unknown).values(topic_id=topic_id))
            adopt_letters(connection, topic, topic_id)

    def start_at(self, starts: Mapping[Partition, int], now: float, topic_id: str | None = None) -> None:
        """Store where reading begins on partitions that the ledger does not know yet; known ones are left alone."""
        with self._engine.begin() as connection:
            if topic_id is not None:
                for topic in {partition.topic for partition in starts}:
                    adopt_letters(connection, topic, topic_id)
            for partition, start in starts.items():
                row: dict[str, Any] = {"topic": partition.topic, "partition": partition.number, "updated_at": now}
                row |= {"next_offset": start, "settled_offset": start, "topic_id": topic_id}
                begun = upsert(connection, offsets).values(row)
                connection.execute(begun.on_conflict_do_nothing())

    def record(self, batch: Batch) -> None:
        """Store a batch whole: its users and labels become pending, its dead letters are kept, the offsets advance.

        Raises:
            OffsetConflict: a partition is not where the batch expected it; nothing is stored.
        """
        with self._engine.begin() as connection:
            for partition, (expected, following) in batch.progress.items():
                _advance(connection, batch, partition, expected, following)
            _count_ignored(connection, batch.ignored)
            store_batch(connection, batch)
            store_letters(connection, batch.dead, batch.received_at)
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

        The offsets between are put on record as a gap, and `letter` says why. `topic_id` is given where the topic was
        recreated.

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
                gap = {"from_offset": expected, "to_offset": to, "at": now, "reason": letter.reason}
                connection.execute(gaps.insert().values(topic=partition.topic, partition=partition.number, **gap))
            store_letters(connection, [letter], now)

    def open_letters(self) -> Load:
        """How many dead letters are open, and how many bytes of them are kept."""
        with reading(self._engine) as connection:
            return open_letters(connection)

    def record_replay(
        self,
        ranges: Mapping[str, Mapping[int, Any]],
        events: int,
        batch: Batch,
        *,
        replay_id: str | None = None,
        told: Mapping[str, Any] | None = None,
    ) -> int:
        """Make the users and labels of `batch` pending and ask for the backfill; live offsets stay where they are.

        Args:
            ranges: the offsets that were read again, as `schemas.spans.OffsetSpans` has them.
            events: how many records were replayed.
            batch: the users and labels that they name.
            replay_id: a replay that is recorded twice under one id is stored once.
            told: the request, and what it found; for people.

        Returns:
            The number of the request.
        """
        now = batch.received_at
        row: dict[str, Any] = {"ranges": united(ranges), "events": events, "at": now, "replay_id": replay_id}
        row |= {"users": len(batch.users), "labels": len(batch.labels), "told": None if told is None else dict(told)}
        with self._engine.begin() as connection:
            if replay_id is not None:
                known = connection.scalar(select(replays.c.request).where(replays.c.replay_id == replay_id))
                if known is not None:
                    return int(known)
            store_batch(connection, batch)
            store_letters(connection, batch.dead, now)
            request = retrain_requests.insert().values(kind=CycleKind.BACKFILL.value, by="operator", at=now)
            number = connection.execute(request).inserted_primary_key
            assert number is not None
            connection.execute(replays.insert().values(**row, request=number[0]))
        return int(number[0])


def store_batch(connection: Connection, batch: Batch) -> None:
    """Make the users and labels of a batch pending."""
    store_changes(connection, USERS, batch.users, batch.received_at, batch.since)
    store_changes(connection, LABELS, batch.labels, batch.received_at, batch.since)


def _advance(connection: Connection, batch: Batch, partition: Partition, expected: int, following: int) -> None:
    moved = connection.execute(
        _at(partition, expected).values(
            next_offset=following,
            events=offsets.c.events + batch.events.get(partition, 0),
            ignored=offsets.c.ignored + sum(n for (where, _), n in batch.ignored.items() if where == partition),
            updated_at=batch.received_at,
            leader_epoch=batch.epochs.get(
                partition
            ),  # an older epoch ends before this offset, and the log would look cut off
        )
    )
    _expect_one(moved, partition, expected)


def _count_ignored(connection: Connection, counts: Mapping[tuple[Partition, str], int]) -> None:
    if not counts:
        return
    new = upsert(connection, ignored)
    counted = new.on_conflict_do_update(
        index_elements=list(ignored.primary_key), set_={"events": ignored.c.events + new.excluded.events}
    )
    rows = [
        {"topic": topic, "partition": number, "reason": reason, "events": events}
        for ((topic, number), reason), events in counts.items()
    ]
    connection.execute(counted, rows)


def _at(partition: Partition, expected: int) -> Update:
    """An update of a partition's offsets that holds only at the expected offset (compare-and-set)."""
    of_partition = offsets.c.topic == partition.topic, offsets.c.partition == partition.number
    return update(offsets).where(*of_partition, offsets.c.next_offset == expected)


def _expect_one(moved: CursorResult[Any], partition: Partition, expected: int) -> None:
    if moved.rowcount != 1:
        raise OffsetConflict(f"{partition} is not at offset {expected} any more")
