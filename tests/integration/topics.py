"""Topics of their own for tests, and what is sent to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from schemas.events import encode, encode_label
from schemas.labels import LabelGroup, PairKey, pair_text
from stores.features.local import LocalFeatureStore
from stores.labels.local import LocalLabelStore
from tests.worlds import GROUP

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class Topic:
    """A topic on a broker."""

    broker: str
    name: str

    @staticmethod
    def new(broker: str, partitions: int = 3, **configs: str) -> Topic:
        """A new topic with a name that nobody used before; `configs` such as `retention_ms="-1"`."""
        topic = Topic(broker, f"t-{uuid4().hex[:8]}")
        topic.create(partitions, **configs)
        return topic

    def create(self, partitions: int = 3, **configs: str) -> None:
        admin = KafkaAdminClient(bootstrap_servers=self.broker)
        named = {name.replace("_", "."): value for name, value in configs.items()}
        admin.create_topics([NewTopic(self.name, num_partitions=partitions, replication_factor=1, topic_configs=named)])
        admin.close()

    def send(self, records: Iterable[tuple[bytes | None, bytes | None, Headers]], partition: int | None = None) -> None:
        """Send (key, value, headers) records and wait until they are acknowledged."""
        producer = KafkaProducer(bootstrap_servers=self.broker, acks="all", max_request_size=4 * 2**20)
        sent = [
            producer.send(self.name, key=key, value=value, headers=list(headers), partition=partition)
            for key, value, headers in records
        ]
        for future in sent:
            future.get(30)
        producer.close()

    def send_users(self, users: Iterable[str], partition: int | None = None) -> None:
        """Send a change event for each of `users`."""
        self.send([(user.encode(), encode(GROUP, user), ()) for user in users], partition)

    def send_labels(self, pairs: Iterable[PairKey], partition: int | None = None) -> None:
        """Send a change event for the label of each of `pairs`."""
        self.send([(pair_text(pair).encode(), encode_label(LabelGroup(), pair), ()) for pair in pairs], partition)

    def relay(self, store: LocalFeatureStore | LocalLabelStore) -> None:
        """Publish the outbox of a local store."""
        while events := store.outbox():
            self.send([(event.key, event.value, event.headers) for event in events])
            store.published(events[-1].id)

    def ends(self) -> dict[int, int]:
        """Where each partition ends, found by reading it: Tansu's own answer can be too low."""
        consumer: Any = KafkaConsumer(bootstrap_servers=self.broker, group_id=None, auto_offset_reset="earliest")
        partitions = [TopicPartition(self.name, number) for number in consumer.partitions_for_topic(self.name)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        quiet = 0
        while quiet < 3:
            quiet = 0 if consumer.poll(timeout_ms=300) else quiet + 1
        ends = {partition.partition: consumer.position(partition) for partition in partitions}
        consumer.close()
        return ends
