"""The change events of an import go from the store's outboxes to Kafka."""

from __future__ import annotations

from contextlib import closing

from kafka import KafkaProducer

from consumer.configuration.kafka import KafkaSettings
from consumer.deadline import Deadline
from consumer.kafka.options import admin_options, producer_options
from retrainer.demo.simulator import patiently
from retrainer.relay import Announcing, Relay, ensure_topic


def announce(kafka: KafkaSettings, stores: dict[str, Announcing], deadline: Deadline) -> int:
    """Publish all events that wait, also those of an earlier import that was cut short; gives how many.

    Args:
        kafka: the brokers.
        stores: for each topic the store whose changes go there. A missing topic is made, with one partition.
        deadline: how long a broker is waited for.

    Raises:
        TimedOut: no broker took part; the events wait in the store.
    """
    if not any(store.outbox(limit=1) for store in stores.values()):
        return 0
    for topic in stores:
        patiently(lambda topic=topic: ensure_topic(admin_options(kafka), topic, 1), deadline)  # type: ignore[misc]
    producer = patiently(lambda: KafkaProducer(**producer_options(kafka)), deadline)
    with closing(producer):
        return sum(patiently(Relay(store, producer, topic).publish, deadline) for topic, store in stores.items())
