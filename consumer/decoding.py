"""From raw records to a batch for the ledger. Every record is stored, ignored, or becomes a dead letter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Protocol

from consumer.changes.change import LabelChange, add_to
from consumer.dead_letters.letter import DeadLetter, Headers
from consumer.dead_letters.replay import Judge, Understood
from consumer.kafka.records import Unreadable
from consumer.ledger.batch import Batch
from consumer.positions import Partition, Position
from consumer.record_times import FIRST, LAST, seconds_of, unit_of
from consumer.settings import Settings
from schemas.event_lines import decode_lines
from schemas.events import Change, Group, Ignored, marks_delete
from schemas.events import decode as decode_notification
from schemas.hopsworks import Source
from schemas.ingestion import decode_ingestion
from schemas.keys import BadEvent
from schemas.labels import LabelGroup

_NONE: Mapping[str, bytes] = MappingProxyType({})

Said = Change | LabelChange | Ignored

Decoder = Callable[[bytes | None, bytes | None, Mapping[str, bytes]], Said]
"""Takes a record's key, value and headers; raises BadEvent with the reason where they are no event."""

Decoders = Mapping[str, Decoder]
"""The decoder of each topic's records."""

_LONGEST = 500  # characters of a reason: an error may quote the whole record


@dataclass(frozen=True, slots=True)
class LinesDecoder:
    """A decoder of notifications that can look at many values at once: `lines` is as `schemas.event_lines` has it."""

    one: Decoder
    lines: Callable[[Iterable[bytes]], Mapping[bytes, Said]]

    def __call__(self, key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> Said:
        """See `Decoder`."""
        return self.one(key, value, headers)


def decoders(settings: Settings) -> Decoders:
    """The decoders for the topics in the settings."""
    source, topic, label_topic = settings.kafka.source, settings.kafka.topic, settings.kafka.label_topic
    users = decoder(source, settings.feature_group)
    if settings.labels is None:
        return {topic: users}
    labels = decoder(source, settings.labels)
    if label_topic not in (None, topic):
        return {topic: users, label_topic: labels}
    return {topic: _of_either(users, labels, settings.labels)}


def decoder(source: Source, group: Group) -> Decoder:
    """The decoder for events of one of our groups, as the source sends them."""
    decode = partial(decode_ingestion if source == "ingestion" else decode_notification, group)
    one: Decoder = partial(_one_label, decode) if isinstance(group, LabelGroup) else decode
    return one if source == "ingestion" else LinesDecoder(one, partial(_lines, group))


def _one_label(
    decode: Callable[..., Change | Ignored], key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]
) -> LabelChange | Ignored:
    return _as_label(decode(key, value, headers))


def _lines(group: Group, values: Iterable[bytes]) -> Mapping[bytes, Said]:
    found = decode_lines(group, values)
    return {value: _as_label(said) for value, said in found.items()} if isinstance(group, LabelGroup) else found


def _as_label(found: Change | Ignored) -> LabelChange | Ignored:
    return LabelChange(found.key, found.operation) if isinstance(found, Change) else found


def _of_either(users: Decoder, labels: Decoder, group: LabelGroup) -> Decoder:
    """The decoder for a topic that both groups share.

    A newer event names its group, so one of the decoders knows it. An older event may not: if it has the column of the
    other user it is a label, good or bad. A tombstone never names a group: it is a label where its key is a pair, and
    else a user.
    """
    column = json.dumps(group.other_key).encode()

    def decode(key: bytes | None, value: bytes | None, headers: Mapping[str, bytes]) -> Said:
        first, second = (labels, users) if value is None or column in value else (users, labels)
        try:
            found = first(key, value, headers)
        except BadEvent:
            with suppress(BadEvent):
                if value is None and not isinstance(user := users(key, value, headers), Ignored):
                    return user
            raise
        return second(key, value, headers) if isinstance(found, Ignored) else found

    def lines(values: Iterable[bytes]) -> Mapping[bytes, Said]:
        all_of_them = list(values)
        assert isinstance(users, LinesDecoder)
        assert isinstance(labels, LinesDecoder)
        return _first_or_second(labels, users, [value for value in all_of_them if column in value]) | _first_or_second(
            users, labels, [value for value in all_of_them if column not in value]
        )

    return LinesDecoder(decode, lines) if isinstance(users, LinesDecoder) else decode


def _first_or_second(first: LinesDecoder, second: LinesDecoder, values: Iterable[bytes]) -> dict[bytes, Said]:
    found = first.lines(values)
    none_of_the_first = [value for value, said in found.items() if isinstance(said, Ignored)]
    return {value: said for value, said in found.items() if not isinstance(said, Ignored)} | dict(
        second.lines(none_of_the_first)
    )


def named(headers: Headers) -> dict[str, bytes]:
    """Headers by name, as a decoder takes them: the last of those with one name, and none without a value."""
    return {name: value for name, value in headers if value is not None}


def judge_by(settings: Settings) -> Judge:
    """What dead letters say to these settings' decoders. A letter of a topic that is read no more is about a user."""
    of_topic = decoders(settings)

    def judge(letter: DeadLetter) -> Understood | Ignored | str:
        decode = of_topic.get(letter.position.topic, of_topic[settings.kafka.topic])
        try:
            return decode(letter.key, letter.value, named(letter.headers))
        except BadEvent as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  (one letter must not keep the others from being replayed)
            return f"unexpected {type(error).__name__}: {error}"

    return judge


class Record(Protocol):
    """The part of a Kafka record that is used. `timestamp` is in milliseconds, negative where there is none."""

    @property
    def offset(self) -> int:
        """The place in the partition."""

    @property
    def timestamp(self) -> int:
        """When the record was produced, or appended, as the topic is configured; a producer may write any number."""

    @property
    def key(self) -> bytes | None:
        """The key."""

    @property
    def value(self) -> bytes | None:
        """The value; None for a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """The headers, in order."""


def to_batch(
    decoders: Decoders,
    records: Mapping[Partition, Sequence[Record | Unreadable]],
    expected: Mapping[Partition, int],
    now: float,
    batch: Batch | None = None,
) -> Batch:
    """The batch for everything that one poll brought, or an open batch with that added.

    Args:
        decoders: by topic.
        records: by partition, in the order of their offsets, with an `Unreadable` where none could be read.
        expected: the next offset of each of these partitions that neither ledger nor batch has; records before it are
            passed over.
        now: when the records arrived, seconds since the epoch.
        batch: of the polls before, which the ledger does not have.
    """
    if batch is None:
        batch = Batch(received_at=now, since=now)
    batch.received_at = now
    for partition, fetched in records.items():
        at = expected[partition]
        fresh = [record for record in fetched if record.offset >= at or _reaches(record, at)]
        if fresh:
            first, _ = batch.progress.get(partition, (at, at))
            batch.progress[partition] = (first, max(at, _after(fresh[-1])))
            batch.events[partition] = batch.events.get(partition, 0) + len(fresh)
            _decode_all(decoders[partition.topic], partition, fresh, batch)
    return batch


def _odd_time(topic: str, timestamp: int, batch: Batch) -> float:
    """When a record was made whose time is not in milliseconds of our years; if nobody knows, when it arrived."""
    if (unit := unit_of(timestamp)) is not None:
        batch.units[topic, unit] += 1
    found = seconds_of(timestamp)
    return batch.received_at if found is None else found


def _reaches(record: Record | Unreadable, expected: int) -> bool:
    """Whether an unreadable place may hold more than is stored already, though it begins before that."""
    return isinstance(record, Unreadable) and record.following >= expected


def _after(last: Record | Unreadable) -> int:
    return last.following if isinstance(last, Unreadable) else last.offset + 1


def _decode_all(decode: Decoder, partition: Partition, records: Sequence[Record | Unreadable], batch: Batch) -> None:
    topic, number = partition
    before = str(Position(topic, number, 0)).removesuffix("0")
    users, labels = batch.users, batch.labels
    known = _known(decode, records)
    for record in records:
        offset, timestamp = record.offset, record.timestamp
        event_at = timestamp / 1000 if FIRST <= timestamp < LAST else _odd_time(topic, timestamp, batch)
        if isinstance(record, Unreadable):
            lost = Position(topic, number, offset), event_at, None, None, ()
            batch.dead.append(DeadLetter(*lost, record.stage, record.reason, timestamp))
            continue
        value, given = record.value, record.headers
        event = None if value is None else known.get(value)
        if event is None or given:
            headers = named(given) if given else _NONE
            try:
                if event is None or marks_delete(headers):
                    event = decode(record.key, value, headers)
            except Exception as error:  # noqa: BLE001  (one record must never stop a partition)
                said = str(error) if isinstance(error, BadEvent) else f"unexpected {type(error).__name__}: {error}"
                kept = tuple((name, value) for name, value in given)
                came = Position(topic, number, offset), event_at, record.key, record.value, kept
                batch.dead.append(DeadLetter(*came, "decode", said[:_LONGEST], timestamp))
                continue
        if isinstance(event, Change):
            add_to(users, event.key, event.operation, f"{before}{offset}", event_at)
        elif isinstance(event, LabelChange):
            add_to(labels, event.key, event.operation, f"{before}{offset}", event_at)
        else:
            batch.ignored[partition, event.reason] += 1


def _known(decode: Decoder, records: Sequence[Record | Unreadable]) -> Mapping[bytes, Said]:
    """What the values of these records say, as far as that is known without looking at each record."""
    if not isinstance(decode, LinesDecoder):
        return {}
    values = [record.value for record in records if not isinstance(record, Unreadable) and record.value is not None]
    try:
        return decode.lines(values)
    except Exception:  # noqa: BLE001  (whichever record it is, looked at alone it becomes a dead letter)
        return {}
