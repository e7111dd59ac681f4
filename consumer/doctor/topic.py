"""Reading the newest record of the topic, to see that it may be read and what it holds."""

from __future__ import annotations

import time
from typing import Any

from kafka import TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, TopicAuthorizationFailedError

from consumer.decoding import decoder
from consumer.doctor.brokers import reader
from consumer.doctor.checks import Finding, Trouble, failed, ok, warning
from consumer.doctor.visit import Visit
from consumer.kafka.records import Unreadable
from schemas.events import Ignored
from schemas.keys import BadEvent

_FETCH = 4.0  # seconds until a fetch has to be answered
_TURN_MS = 200
_SHOWN = "`retrainer dead-letters` shows such"


def read_newest(visit: Visit) -> Finding:
    """Whether the topic can be read, and whether its newest record is one that the settings' source has."""
    topic = visit.kafka.topic
    partitions = [TopicPartition(topic, one["partition_index"]) for one in visit.described]
    try:
        with reader(visit.kafka) as consumer:
            begins = consumer.beginning_offsets(partitions)
            ends = consumer.end_offsets(partitions)
            total = sum(ends[partition] - begins[partition] for partition in partitions)
            record = _newest(consumer, begins, ends)
    except TopicAuthorizationFailedError:
        return failed(f"reading topic {topic} is not permitted", "have READ on the topic permitted (ACL)")
    except CorruptRecordError as error:
        return warning(f"{topic} can be read, but its newest record not: {error}", _SHOWN)
    except KafkaError as error:
        raise Trouble(f"topic {topic} cannot be read: {error}", "ask whoever runs the brokers") from None
    if record is None:
        return ok(f"{topic} can be read; it holds {f'about {total} records' if total else 'nothing yet'}")
    if isinstance(record, Unreadable):
        return warning(f"{topic} can be read, but its newest record not: {record.why}", _SHOWN)
    visit.record_from = record.timestamp / 1000 if record.timestamp > 0 else None
    return _judged(visit, f"{topic} can be read; it holds about {total} records{_since(visit.record_from)}", record)


def _newest(consumer: Any, begins: dict[TopicPartition, int], ends: dict[TopicPartition, int]) -> Any | None:
    """The newest record by its time of those that end the partitions; None where there is none to be had."""
    consumer.assign(list(ends))
    for partition, end in ends.items():
        consumer.seek(partition, max(begins[partition], end - 1))
    found: list[Any] = []
    limit = time.monotonic() + _FETCH
    while any(not _answered(consumer, partition, end) for partition, end in ends.items()):
        if time.monotonic() > limit:
            raise Trouble("the brokers do not answer a fetch", "ask whoever runs the brokers")
        for records in consumer.poll(timeout_ms=_TURN_MS).values():
            found += records
    return max(found, key=lambda record: record.timestamp, default=None)


def _answered(consumer: Any, partition: TopicPartition, end: int) -> bool:
    """Whether a fetch was answered, and the last record, or the mark of a transaction in its place, was taken."""
    return consumer.highwater(partition) is not None and consumer.position(partition) >= end


def _judged(visit: Visit, found: str, record: Any) -> Finding:
    headers = {name: value for name, value in record.headers if value is not None}
    source = visit.kafka.source
    try:
        event = decoder(source, visit.settings.feature_group)(record.key, record.value, headers)
    except BadEvent as error:
        return warning(
            f"{found}, but that is no event as the source '{source}' has them: {error}",
            "see whether RETRAINER_KAFKA__TOPIC and RETRAINER_KAFKA__SOURCE go together; such are dead letters",
        )
    return ok(f"{found}{', of another group' if isinstance(event, Ignored) else ''}")


def _since(moment: float | None) -> str:
    if moment is None:
        return ""
    seconds = max(0.0, time.time() - moment)
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f", the newest from {seconds / length:.0f} {unit} ago"
    return f", the newest from {seconds:.0f} seconds ago"
