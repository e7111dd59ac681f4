"""The topic itself, read by a plain consumer: every record, told by its bytes alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from kafka import KafkaConsumer, TopicPartition

from tests.crash.stream import Sent
from tests.integration.topics import Topic
from tests.worlds import GROUP


def read_topic(topic: Topic) -> list[Sent]:
    """Every record, those of a partition in their order; `at` is the time that its producer gave it."""
    consumer: Any = KafkaConsumer(bootstrap_servers=topic.broker, group_id=None)
    try:
        partitions = [
            TopicPartition(topic.name, number) for number in sorted(consumer.partitions_for_topic(topic.name))
        ]
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        return [
            Sent(*told(record.key, record.value), record.partition, record.offset, record.timestamp / 1000)
            for record in _until(consumer, ends)
        ]
    finally:
        consumer.close()


def told(key: bytes | None, value: bytes | None) -> tuple[Literal["change", "dead", "ignored"], str | None]:
    """What a record is, and whose; by rules of its own, for the few kinds of record that the stream sends."""
    try:
        event = json.loads(value) if value is not None else {"entry": {GROUP.primary_key: (key or b"").decode()}}
        if event.get("featureGroupName", GROUP.name) != GROUP.name:
            return "ignored", None
        user = event["entry"][GROUP.primary_key]
    except (ValueError, KeyError):  # no JSON, no UTF-8, no user
        return "dead", None
    return ("change", user) if user else ("dead", None)


def _until(consumer: Any, ends: dict[TopicPartition, int]) -> Iterator[Any]:
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for records in consumer.poll(timeout_ms=1000).values():
            yield from records
