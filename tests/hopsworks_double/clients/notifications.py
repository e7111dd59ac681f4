"""What a cluster says of its changes, read by a plain Kafka client."""

from __future__ import annotations

from confluent_kafka import Consumer, Message, TopicPartition

from tests.waiting import wait_until


class Notifications:
    """Everything on a notification topic, in order within each partition."""

    def __init__(self, address: str, topic: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": address, "group.id": "test", "fetch.wait.max.ms": 20})
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        self.messages: list[Message] = []

    def wait_for(self, count: int) -> list[Message]:
        """All messages so far, once there are `count` of them."""

        def arrived() -> bool:
            self.messages += [message for message in self._consumer.consume(100, 0.05) if message.error() is None]
            return len(self.messages) >= count

        wait_until(arrived, 20, f"{count} notifications")
        return self.messages

    @property
    def keys(self) -> list[bytes | None]:
        return [message.key() for message in self.messages]
