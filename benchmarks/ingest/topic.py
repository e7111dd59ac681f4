"""The topic that the ingest rows read: on a real Apache Kafka, change events of a feature store, keyed by user."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from benchmarks.rows import NotMeasured
from schemas.events import encode
from schemas.features import FeatureGroup
from tests.brokers.apache_kafka import LASTING, apache_kafka, missing

GROUP = FeatureGroup(id=13, feature_store_id=67)
PARTITIONS = 3
_FLUSH_SECONDS = 120
_SKEW = 1.0
"""Of Zipf's law: the user in place k changes 1/k as often as the first."""


@contextmanager
def broker() -> Iterator[str]:
    """An Apache Kafka of its own, by its address.

    Raises:
        NotMeasured: this machine cannot run one.
    """
    if (lacking := missing()) is not None:
        raise NotMeasured(f"Apache Kafka needs Java and Maven: {lacking}")
    with apache_kafka(LASTING) as address:
        yield address


def fill(address: str, topic: str, events: int, users: int, *, skewed: bool = False, seed: int = 0) -> Counter[str]:
    """Make a topic and send `events` to it, as Hopsworks does: by librdkafka, keyed by user.

    Returns:
        How many events each user has.
    """
    from confluent_kafka import Producer

    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(name=topic, num_partitions=PARTITIONS, replication_factor=1)])
    admin.close()
    names = [f"listener-{number:06d}" for number in range(users)]
    records = {name: (name.encode(), encode(GROUP, name)) for name in names}
    weights = list(accumulate(1 / (place + 1) ** _SKEW for place in range(users))) if skewed else None
    drawn = random.Random(seed).choices(names, cum_weights=weights, k=events)
    producer = Producer(
        {
            "bootstrap.servers": address,
            "acks": "all",
            "enable.idempotence": True,
            "partitioner": "murmur2_random",  # as the Java client and kafka-python
            "queue.buffering.max.messages": events + 1,
        }
    )
    for name in drawn:
        key, value = records[name]
        producer.produce(topic, key=key, value=value)
        producer.poll(0)
    if left := producer.flush(_FLUSH_SECONDS):
        raise RuntimeError(f"{left:,} of {events:,} events were not taken by the broker")
    return Counter(drawn)


def ends(address: str, topic: str) -> dict[str, int]:
    """Where each partition ends."""
    consumer = KafkaConsumer(bootstrap_servers=address)
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    found = {str(tp.partition): offset for tp, offset in consumer.end_offsets(partitions).items()}
    consumer.close()
    return found
