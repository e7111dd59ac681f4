"""The dead letters in the database: kept once each, found, discarded, copied to their topic.

A letter is open until an operator settles it: replayed, what it says is pending; discarded, the operator's reason is on
record and the bytes are gone. Either happens once, whoever tries it again (P1).
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, String, Update, cast, func, literal, select, update

from consumer.database.dialect import upsert
from consumer.database.digest import digest
from consumer.database.engine import reading
from consumer.database.tables import dead_letters, offsets
from consumer.dead_letters.letter import DeadLetter, Entry, Headers, Load, Status, Stored, bounded
from consumer.positions import Position

_AT_ONCE, _BYTES_AT_ONCE = 200, 16 * 2**20  # in one transaction: others want to write, too


def kept_bytes() -> ColumnElement[int]:
    """How many bytes the ledger keeps of a dead letter, as an expression over its table."""
    letter = dead_letters.c
    binary = func.coalesce(func.length(letter.key), 0) + func.coalesce(func.length(letter.value), 0)
    return binary + func.length(cast(letter.headers, String))


_SIZE = kept_bytes().label("size")
_WITHOUT_ITS_BYTES = [column for column in dead_letters.c if column.name not in {"key", "value", "headers"}]


@dataclass(frozen=True, slots=True)
class Which:
    """Which letters; None does not matter. `reason` is a part of it in any case, `since` a time of storing."""

    status: Status | None = "open"
    stage: str | None = None
    reason: str | None = None
    topic: str | None = None
    since: float | None = None


class Letters:
    """The dead letters of a ledger, for operators and for the dead-letter topic."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def counts(self, which: Which) -> dict[tuple[str, str], int]:
        """How many letters there are by status and stage."""
        by = dead_letters.c.status, dead_letters.c.stage
        counted = select(*by, func.count()).where(*_conditions(which)).group_by(*by).order_by(*by)
        with reading(self.engine) as connection:
            return {(status, stage): count for status, stage, count in connection.execute(counted)}

    def find(self, which: Which, limit: int) -> list[Entry]:
        """The newest `limit` letters, newest first."""
        newest = (
            select(*_WITHOUT_ITS_BYTES, _SIZE)
            .where(*_conditions(which))
            .order_by(dead_letters.c.id.desc())
            .limit(limit)
        )
        with reading(self.engine) as connection:
            return [_entry(row) for row in connection.execute(newest)]

    def ids(self, which: Which) -> list[int]:
        """The numbers of all such letters, oldest first."""
        with reading(self.engine) as connection:
            oldest = select(dead_letters.c.id).where(*_conditions(which)).order_by(dead_letters.c.id)
            return list(connection.scalars(oldest))

    def get(self, number: int) -> Stored | None:
        """One letter, whole; None where there is none of this number."""
        with reading(self.engine) as connection:
            return next(iter(whole_letters(connection, [number])), None)

    def discard(self, ids: Sequence[int], reason: str, now: float, *, replayed: bool = False) -> int:
        """Settle open letters for good: the reason is on record, their bytes are gone. Gives how many were open.

        With `replayed`, letters that were replayed are discarded instead; that they were stays on record.
        """
        discarded = 0
        for start in range(0, len(ids), _AT_ONCE):
            with self.engine.begin() as connection:
                settled = _settled(ids[start : start + _AT_ONCE], "discarded", reason, now, replayed=replayed)
                discarded += connection.execute(settled.values(key=None, value=None, headers=[])).rowcount
        return discarded

    def unpublished(self) -> list[Stored]:
        """The oldest letters that the dead-letter topic does not have yet, a portion of them; not the discarded."""
        waiting = dead_letters.c.published.is_(False), dead_letters.c.status != "discarded"
        with reading(self.engine) as connection:
            oldest = select(dead_letters.c.id).where(*waiting).order_by(dead_letters.c.id).limit(_AT_ONCE)
            ids = list(connection.scalars(oldest))
        for portion in self.portions(ids):
            with reading(self.engine) as connection:
                return whole_letters(connection, portion)
        return []

    def published(self, ids: Sequence[int]) -> None:
        """Note that the dead-letter topic has these letters, acknowledged."""
        with self.engine.begin() as connection:
            connection.execute(update(dead_letters).where(dead_letters.c.id.in_(ids)).values(published=True))

    def portions(self, ids: Sequence[int]) -> Iterator[list[int]]:
        """Those of these numbers that name letters, in order, in portions small enough to be held in memory at once."""
        for start in range(0, len(ids), _AT_ONCE):
            sized = select(dead_letters.c.id, kept_bytes()).where(dead_letters.c.id.in_(ids[start : start + _AT_ONCE]))
            with reading(self.engine) as connection:
                rows = connection.execute(sized.order_by(dead_letters.c.id)).all()
            portion: list[int] = []
            held = 0
            for number, size in rows:
                if portion and held + size > _BYTES_AT_ONCE:
                    yield portion
                    portion, held = [], 0
                portion.append(number)
                held += size
            if portion:
                yield portion


def store_letters(connection: Connection, letters: list[DeadLetter], now: float) -> None:
    """Keep dead letters, each once: a record that is known already is passed over."""
    if not letters:
        return
    topics = {letter.position.topic for letter in letters}
    topic_ids = _topic_ids(connection, topics)
    rows = [
        {
            "topic": letter.position.topic,
            "partition": letter.position.partition,
            "offset": letter.position.offset,
            "event_at": letter.event_at,
            "digest": digest(came.key, came.value, _texts(came.headers)),
            "record_time": letter.recorded_ms,
            "topic_id": topic_ids.get((letter.position.topic, letter.position.partition)) or "",
            "key": letter.key,
            "value": letter.value,
            "headers": _texts(letter.headers),
            "stage": letter.stage,
            "reason": letter.reason,
            "at": now,
        }
        for came, letter in zip(letters, map(bounded, letters), strict=True)
    ]
    odd = [one for one in letters if one.timestamp is not None and one.timestamp != round(one.event_at * 1000)]
    known = _known_without_time(connection, odd)
    rows = [row for row in rows if (row["topic"], row["partition"], row["offset"], row["digest"]) not in known]
    if rows:
        connection.execute(upsert(connection, dead_letters).on_conflict_do_nothing(), rows)


def open_letters(connection: Connection) -> Load:
    """How many letters nobody has settled, and how many bytes of them are kept."""
    still_open = select(func.count(), func.sum(kept_bytes())).where(dead_letters.c.status == "open")
    count, size = connection.execute(still_open).one()
    return Load(count, int(size or 0))


def adopt_letters(connection: Connection, topic: str, topic_id: str) -> None:
    """Give the topic's id to letters from before the id was known, so that their records are known again."""
    nameless = dead_letters.c.topic == topic, dead_letters.c.topic_id == ""
    connection.execute(update(dead_letters).where(*nameless).values(topic_id=topic_id))


def whole_letters(connection: Connection, ids: Sequence[int], *, lock: bool = False) -> list[Stored]:
    """The letters of these numbers with their bytes, oldest first; `lock` keeps others from settling them."""
    letters = select(dead_letters, _SIZE).where(dead_letters.c.id.in_(ids)).order_by(dead_letters.c.id)
    rows = connection.execute(letters.with_for_update() if lock else letters)
    return [Stored(_entry(row), _letter(row)) for row in rows]


def settle(connection: Connection, ids: Sequence[int], status: Status, reason: str, now: float) -> None:
    """Settle open letters in the connection's transaction, for a reason that stays on record."""
    connection.execute(_settled(ids, status, reason, now))


def _settled(ids: Sequence[int], status: Status, reason: str, now: float, *, replayed: bool = False) -> Update:
    those = dead_letters.c.id.in_(ids), dead_letters.c.status == ("replayed" if replayed else "open")
    kept = literal(f"{reason}; was replayed: ") + dead_letters.c.settled_reason if replayed else reason
    return update(dead_letters).where(*those).values(status=status, settled_at=now, settled_reason=kept)


def _topic_ids(connection: Connection, topics: Collection[str]) -> dict[tuple[str, int], str | None]:
    rows = connection.execute(
        select(offsets.c.topic, offsets.c.partition, offsets.c.topic_id).where(offsets.c.topic.in_(topics))
    )
    return {(topic, number): topic_id for topic, number, topic_id in rows}


def _known_without_time(connection: Connection, letters: list[DeadLetter]) -> set[tuple[str, int, int, str]]:
    """Letters at the same positions by earlier releases, which did not keep what a record says of its time."""
    if not letters:
        return set()
    of, offset_of = dead_letters.c, [letter.position.offset for letter in letters]
    there = (
        of.topic.in_({letter.position.topic for letter in letters}),
        of.offset.between(min(offset_of), max(offset_of)),
    )
    found = select(of.topic, of.partition, of.offset, of.digest).where(*there, of.record_time.is_(None))
    return {(topic, number, at, known) for topic, number, at, known in connection.execute(found)}


def _conditions(which: Which) -> Iterator[ColumnElement[bool]]:
    letter = dead_letters.c
    for column, wanted in ((letter.status, which.status), (letter.stage, which.stage), (letter.topic, which.topic)):
        if wanted is not None:
            yield column == wanted
    if which.reason is not None:
        yield func.lower(letter.reason).contains(which.reason.lower(), autoescape=True)
    if which.since is not None:
        yield letter.at >= which.since


def _entry(row: Any) -> Entry:
    return Entry(
        id=row.id,
        position=Position(row.topic, row.partition, row.offset),
        event_at=row.event_at,
        stored_at=row.at,
        stage=row.stage,
        reason=row.reason,
        status=row.status,
        settled_at=row.settled_at,
        settled_reason=row.settled_reason,
        published=row.published,
        size=row.size,
    )


def _letter(row: Any) -> DeadLetter:
    position = Position(row.topic, row.partition, row.offset)
    return DeadLetter(position, row.event_at, row.key, row.value, _headers(row.headers), row.stage, row.reason)


def _headers(stored: Mapping[str, str] | Sequence[tuple[str, str | None]]) -> Headers:
    """Headers from a row. Up to schema 2 they were stored by name."""
    pairs = stored.items() if isinstance(stored, Mapping) else stored
    return tuple((name, None if value is None else base64.b64decode(value)) for name, value in pairs)


def _texts(headers: Headers) -> list[list[str | None]]:
    return [[name, None if value is None else base64.b64encode(value).decode()] for name, value in headers]
