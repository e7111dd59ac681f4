"""The topics themselves, read by a plain consumer: every record, told by its bytes alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from kafka import KafkaConsumer, TopicPartition

from tests.crash.follows import LABELS
from tests.integration.topics import Topic
from tests.worlds import GROUP

Kind = Literal["user", "label", "dead", "ignored"]
Place = tuple[str, int]
"""A topic and a partition of it."""


class Topics(NamedTuple):
    """Where users are told, and where labels."""

    users: Topic
    labels: Topic

    @staticmethod
    def new(broker: str) -> Topics:
        """Two that nobody has used before."""
        return Topics(Topic.new(broker), Topic.new(broker, partitions=2))

    @property
    def names(self) -> tuple[str, str]:
        """As the broker knows them."""
        return self.users.name, self.labels.name


@dataclass(frozen=True, slots=True)
class Sent:
    """A record on the broker.

    Attributes:
        kind: a change of a user or of a label, one that nobody can read, or somebody else's.
        key: the user, or both users of a label as a JSON array.
        at: when it was sent, or a little before, in seconds since the epoch.
    """

    kind: Kind
    key: str | None
    topic: str
    partition: int
    offset: int
    at: float

    @property
    def place(self) -> Place:
        """Its partition."""
        return self.topic, self.partition

    @property
    def is_change(self) -> bool:
        """Whether a user or a label changed."""
        return self.kind in {"user", "label"}


def read_topics(topics: Topics) -> list[Sent]:
    """Every record, those of a partition in their order; `at` is the time that its producer gave it."""
    consumer: Any = KafkaConsumer(bootstrap_servers=topics.users.broker, group_id=None)
    try:
        partitions = [
            TopicPartition(name, number) for name in topics.names for number in consumer.partitions_for_topic(name)
        ]
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        return [_sent(record, topics) for record in _until(consumer, ends)]
    finally:
        consumer.close()


def told(key: bytes | None, value: bytes | None, *, of_labels: bool = False) -> tuple[Kind, str | None]:
    """What a record is, and whose; by rules of its own, for the few kinds of record that the stream sends."""
    try:
        return _label(key, value) if of_labels else _user(key, value)
    except (ValueError, KeyError):  # no JSON, no UTF-8, no user
        return "dead", None


def _sent(record: Any, topics: Topics) -> Sent:
    kind, key = told(record.key, record.value, of_labels=record.topic == topics.labels.name)
    return Sent(kind, key, record.topic, record.partition, record.offset, record.timestamp / 1000)


def _user(key: bytes | None, value: bytes | None) -> tuple[Kind, str | None]:
    event = json.loads(value) if value is not None else {"entry": {GROUP.primary_key: (key or b"").decode()}}
    if event.get("featureGroupName", GROUP.name) != GROUP.name:
        return "ignored", None
    user = event["entry"][GROUP.primary_key]
    return ("user", user) if user else ("dead", None)


def _label(key: bytes | None, value: bytes | None) -> tuple[Kind, str | None]:
    if value is None:
        one, other = json.loads(key or b"")
    else:
        event = json.loads(value)
        if event["featureGroupName"] != LABELS.name:
            return "ignored", None
        one, other = event["entry"][LABELS.user_key], event["entry"][LABELS.other_key]
    return ("label", json.dumps([one, other], separators=(",", ":"))) if one and other else ("dead", None)


def _until(consumer: Any, ends: dict[TopicPartition, int]) -> Iterator[Any]:
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for records in consumer.poll(timeout_ms=1000).values():
            yield from records
