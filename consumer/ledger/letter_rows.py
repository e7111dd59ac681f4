"""Dead letters as rows: what is kept of a record that could not be understood, and by what it is known again."""

from __future__ import annotations

import base64
from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, String, cast, func, select, update

from consumer.ledger.batch import DeadLetter, Headers, bounded
from consumer.ledger.dialect import upsert
from consumer.ledger.digest import digest
from consumer.ledger.tables import dead_letters, offsets


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


def _topic_ids(connection: Connection, topics: Collection[str]) -> dict[tuple[str, int], str | None]:
    rows = connection.execute(
        select(offsets.c.topic, offsets.c.partition, offsets.c.topic_id).where(offsets.c.topic.in_(topics))
    )
    return {(topic, number): topic_id for topic, number, topic_id in rows}


def _known_without_time(connection: Connection, letters: list[DeadLetter]) -> set[tuple[str, int, int, str]]:
    """Letters of earlier releases at the places of these, which did not keep what a record says of its time."""
    if not letters:
        return set()
    of, offset_of = dead_letters.c, [letter.position.offset for letter in letters]
    there = (
        of.topic.in_({letter.position.topic for letter in letters}),
        of.offset.between(min(offset_of), max(offset_of)),
    )
    found = select(of.topic, of.partition, of.offset, of.digest).where(*there, of.record_time.is_(None))
    return {(topic, number, at, known) for topic, number, at, known in connection.execute(found)}


def adopt_letters(connection: Connection, topic: str, topic_id: str) -> None:
    """Letters from before the topic's id was known are of that topic, so that their records are known again."""
    nameless = dead_letters.c.topic == topic, dead_letters.c.topic_id == ""
    connection.execute(update(dead_letters).where(*nameless).values(topic_id=topic_id))


def kept_bytes() -> ColumnElement[int]:
    """How many bytes the ledger keeps of a dead letter, as an expression over its table."""
    letter = dead_letters.c
    binary = func.coalesce(func.length(letter.key), 0) + func.coalesce(func.length(letter.value), 0)
    return binary + func.length(cast(letter.headers, String))


def _texts(headers: Headers) -> list[list[str | None]]:
    return [[name, _text(value)] for name, value in headers]


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode()
