"""From the outboxes of the local feature store to Kafka, at least once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import TopicAlreadyExistsError

from stores.features.outbox import OutboxEvent

ACKNOWLEDGED_WITHIN = 30.0
"""Seconds that one batch may take until the broker has acknowledged all of it."""


def ensure_topic(admin_options: Mapping[str, Any], topic: str, partitions: int) -> bool:
    """Create a topic where it is missing. True when it was missing; one that is there keeps its partitions.

    Raises:
        KafkaError: no broker answered, or it refused.
    """
    admin = KafkaAdminClient(**admin_options)
    try:
        if topic in admin.list_topics():
            return False
        admin.create_topics({topic: {"num_partitions": partitions, "replication_factor": -1}}, wait_for_metadata=True)
    except TopicAlreadyExistsError:
        return False
    finally:
        admin.close()
    return True


class Announcing(Protocol):
    """A store of users or of labels, as far as its change events go."""

    def outbox(self, limit: int = 1000) -> Sequence[OutboxEvent]:
        """The oldest events that wait, in the order of their commits."""

    def published(self, up_to: int) -> None:
        """Forget the events with an id of at most `up_to`."""


class Relay:
    """Publishes a store's outbox in the order of its commits.

    An event is forgotten only after the broker has acknowledged it, so a relay that dies repeats some and loses none.
    Events of one user, or of one label, have one key, and with it one partition and their order.
    """

    def __init__(self, store: Announcing, producer: KafkaProducer, topic: str) -> None:
        self._store = store
        self._producer = producer
        self._topic = topic

    def publish(self) -> int:
        """Publish all that waits; returns how many events that was.

        Raises:
            KafkaError: the broker did not acknowledge a batch. What is left waits for the next call.
        """
        published = 0
        while events := self._store.outbox():
            promises = [
                self._producer.send(self._topic, key=event.key, value=event.value, headers=list(event.headers))
                for event in events
            ]
            self._producer.flush(timeout=ACKNOWLEDGED_WITHIN)
            for promise in promises:
                promise.get(timeout=ACKNOWLEDGED_WITHIN)
            self._store.published(events[-1].id)
            published += len(events)
        return published
