"""Reading the newest records of the topic, to see that it may be read and what it holds."""

from __future__ import annotations

import time

from kafka.errors import CorruptRecordError, KafkaError, TopicAuthorizationFailedError

from consumer.decoding import decoders
from consumer.kafka.ports import TopicReader
from consumer.kafka.records import Found, Unreadable
from consumer.positions import Partition
from consumer.record_times import seconds_of
from retrainer.doctor.brokers import reader
from retrainer.doctor.checks import Finding, Trouble, failed, ok, warning
from retrainer.doctor.rows import SAMPLE
from retrainer.doctor.tail import judged, looked_at
from retrainer.doctor.visit import Visit

_FETCH = 4.0  # seconds until a fetch has to be answered
_TURN_MS = 200
_MOST_BYTES = 32 * 2**20  # of a sample
_SHOWN = "`retrainer dead-letters` shows such"


def read_newest(visit: Visit) -> Finding:
    """Whether the topic can be read, and whether its newest records are events that the settings' source has."""
    topic = visit.kafka.topic
    partitions = [Partition(topic, one["partition_index"]) for one in visit.described]
    try:
        with reader(visit.kafka) as consumer:
            begins = consumer.beginning_offsets(partitions)
            ends = consumer.end_offsets(partitions)
            total = sum(ends[partition] - begins[partition] for partition in partitions)
            records = _newest(consumer, begins, ends)
    except TopicAuthorizationFailedError:
        return failed(f"reading topic {topic} is not permitted", "have READ on the topic permitted (ACL)")
    except CorruptRecordError as error:
        return warning(f"{topic} can be read, but its newest record not: {error}", _SHOWN)
    except KafkaError as error:
        raise Trouble(f"topic {topic} cannot be read: {error}", "ask whoever runs the brokers") from None
    if not records:
        return ok(f"{topic} can be read; it holds {f'about {total} records' if total else 'nothing yet'}")
    newest = records[-1]
    visit.record_from = seconds_of(newest.timestamp)
    if isinstance(newest, Unreadable):
        return warning(f"{topic} can be read, but its newest record not: {newest.why}", _SHOWN)
    found = f"{topic} can be read; it holds about {total} records{_since(visit.record_from)}"
    sound = [record for record in records if not isinstance(record, Unreadable)]
    tail = looked_at(sound, decoders(visit.settings.model_copy(update={"kafka": visit.kafka}))[topic])
    return judged(found, tail, visit.settings.feature_group, topic, visit.kafka.source)


def _newest(consumer: TopicReader, begins: dict[Partition, int], ends: dict[Partition, int]) -> list[Found]:
    """The records that end the partitions, the newest last; where that is too much to read, the last of each alone."""
    try:
        found = _last(consumer, begins, ends, max(1, SAMPLE // len(ends)))
    except CorruptRecordError:  # it may lie before the last ones
        found = None
    if found is None and (found := _last(consumer, begins, ends, 1)) is None:
        raise Trouble("the brokers do not answer a fetch", "ask whoever runs the brokers")
    return sorted(found, key=lambda record: seconds_of(record.timestamp) or 0.0)


def _last(
    consumer: TopicReader, begins: dict[Partition, int], ends: dict[Partition, int], each: int
) -> list[Found] | None:
    """Up to `each` records from the end of every partition; None where they do not come in time, or are too big."""
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
    """Whether a fetch was answered, and the last record, or the mark of a transaction in its place, was taken."""
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
