"""Reads the newest records of the topic, which shows that it can be read, and what it holds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from kafka.errors import CorruptRecordError, KafkaError, TopicAuthorizationFailedError

from consumer.configuration.kafka import KafkaSettings
from consumer.decoding import decoders
from consumer.kafka.ports import TopicReader
from consumer.kafka.records import Found, Unreadable
from consumer.positions import Partition
from consumer.record_times import seconds_of
from consumer.settings import Settings
from retrainer.doctor.brokers import admin, reader
from retrainer.doctor.checks import CheckFailed, Finding, ok, warning
from retrainer.doctor.rows import SAMPLE
from retrainer.doctor.tail import judged, looked_at

_FETCH = 4.0  # seconds for a fetch
_TURN_MS = 200
_MOST_BYTES = 32 * 2**20  # of a sample
UNREADABLE = "`retrainer dead-letters` shows such"
"""What to do about a record that cannot be read."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The records that end a topic, the newest last, and about how many records there are."""

    total: int
    records: list[Found]

    @property
    def made_at(self) -> float | None:
        """When the newest record was made, in seconds since the epoch; None where that is not known."""
        return seconds_of(self.records[-1].timestamp) if self.records else None


def describe(kafka: KafkaSettings, topic: str) -> dict[str, Any]:
    """A topic as the brokers describe it; `error_code` is not 0 where they refuse.

    Raises:
        CheckFailed: there is no connection.
    """
    with admin(kafka) as client:
        (described,) = client.describe_topics([topic])
    found: dict[str, Any] = described
    return found


def newest_records(kafka: KafkaSettings, partitions: list[dict[str, Any]]) -> Newest:
    """The newest records of the topic.

    Raises:
        CheckFailed: the topic cannot be read.
        CorruptRecordError: the topic can be read, its newest record cannot.
    """
    topic = kafka.topic
    every = [Partition(topic, one["partition_index"]) for one in partitions]
    try:
        with reader(kafka) as consumer:
            begins = consumer.beginning_offsets(every)
            ends = consumer.end_offsets(every)
            total = sum(ends[partition] - begins[partition] for partition in every)
            return Newest(total, _newest(consumer, begins, ends))
    except TopicAuthorizationFailedError:
        raise CheckFailed(f"reading topic {topic} is not permitted", "have READ on the topic permitted (ACL)") from None
    except CorruptRecordError:
        raise
    except KafkaError as error:
        raise CheckFailed(f"topic {topic} cannot be read: {error}", "ask whoever runs the brokers") from None


def newest_judged(newest: Newest, settings: Settings) -> Finding:
    """Whether the newest records of the settings' topic are events that the settings' source has."""
    kafka, records = settings.kafka, newest.records
    if not records:
        holds = f"about {newest.total} records" if newest.total else "nothing yet"
        return ok(f"{kafka.topic} can be read; it holds {holds}")
    if isinstance(records[-1], Unreadable):
        return warning(f"{kafka.topic} can be read, but its newest record not: {records[-1].why}", UNREADABLE)
    found = f"{kafka.topic} can be read; it holds about {newest.total} records{_since(newest.made_at)}"
    sound = [record for record in records if not isinstance(record, Unreadable)]
    tail = looked_at(sound, decoders(settings)[kafka.topic])
    return judged(found, tail, settings.feature_group, kafka.topic, kafka.source)


def _newest(consumer: TopicReader, begins: dict[Partition, int], ends: dict[Partition, int]) -> list[Found]:
    """The last records of the partitions, the newest last; where these are too large, one record of each."""
    try:
        found = _last(consumer, begins, ends, max(1, SAMPLE // len(ends)))
    except CorruptRecordError:  # it may be before the very last ones
        found = None
    if found is None and (found := _last(consumer, begins, ends, 1)) is None:
        raise CheckFailed("the brokers do not answer a fetch", "ask whoever runs the brokers")
    return sorted(found, key=lambda record: seconds_of(record.timestamp) or 0.0)


def _last(
    consumer: TopicReader, begins: dict[Partition, int], ends: dict[Partition, int], each: int
) -> list[Found] | None:
    """Up to `each` records from the end of every partition; None where they are too slow or too large."""
    consumer.assign(list(ends))
    for partition, end in ends.items():
        consumer.seek(partition, max(begins[partition], end - each))
    found: list[Found] = []
    limit, size = time.monotonic() + _FETCH, 0
    while any(not _answered(consumer, partition, end) for partition, end in ends.items()):
        if time.monotonic() > limit:
            return None
        for records in consumer.poll(timeout_ms=_TURN_MS).values():
            found += records
            size += sum(len(record.value or b"") for record in records if not isinstance(record, Unreadable))
        if each > 1 and size > _MOST_BYTES:
            return None
    return found


def _answered(consumer: TopicReader, partition: Partition, end: int) -> bool:
    """Whether a fetch was answered, up to the last record or the transaction marker in its place."""
    at = consumer.position(partition)
    return consumer.highwater(partition) is not None and at is not None and at.offset >= end


def _since(moment: float | None) -> str:
    if moment is None:
        return ""
    seconds = max(0.0, time.time() - moment)
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f", the newest from {seconds / length:.0f} {unit} ago"
    return f", the newest from {seconds:.0f} seconds ago"
