"""A burst of change events, and what is seen of a service from outside while it lasts."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psutil
from confluent_kafka import Producer
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from consumer.ledger.ledger import Ledger
from consumer.status import Status, read_status
from schemas.events import encode
from tests.integration.service import Service
from tests.worlds import GROUP


def send_burst(service: Service, events: int, users: int) -> None:
    """Events of `users` users in turn, to every partition; returns when all are acknowledged."""
    values = [encode(GROUP, f"burst-{number}") for number in range(users)]
    producer = Producer({"bootstrap.servers": service.topic.broker, "linger.ms": 20, "acks": "all"})
    for number in range(events):
        while True:
            try:
                producer.produce(service.topic.name, value=values[number % users])
                break
            except BufferError:
                producer.poll(0.05)
    assert producer.flush(60) == 0


class Members:
    """Who is in the group of a service, by the broker's word. Whoever leaves and comes back is somebody else."""

    def __init__(self, service: Service) -> None:
        self._admin: Any = KafkaAdminClient(bootstrap_servers=service.topic.broker)
        self._group = f"g-{service.topic.name}"

    def look(self) -> frozenset[str]:
        """Who is there now."""
        found = self._admin.describe_groups([self._group])[self._group]["members"]
        return frozenset(member["member_id"] for member in found)

    def close(self) -> None:
        """Let go of the broker."""
        self._admin.close()


@dataclass(frozen=True)
class Sample:
    """The service at one moment. What was read later stands later."""

    at: float
    end: int
    """How many records the topic holds."""
    status: Status
    stored: int
    """How many of them the ledger has moved past."""
    rss: int
    members: frozenset[str]


@dataclass
class Watch:
    """Takes samples of a service, by ways of its own: the broker, the ledger's file and the process table."""

    service: Service
    ledger: Ledger
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        broker = self.service.topic.broker
        self._consumer: Any = KafkaConsumer(bootstrap_servers=broker, group_id=None)
        self._members = Members(self.service)
        name = self.service.topic.name
        self._partitions = [TopicPartition(name, number) for number in self._consumer.partitions_for_topic(name)]
        assert self.service.process is not None
        self._process = psutil.Process(self.service.process.pid)

    def look(self) -> Sample:
        """One more sample."""
        end = sum(self._consumer.end_offsets(self._partitions).values())
        status = read_status(self.service.state_dir / "status.json")
        assert status is not None
        stored = sum(self.ledger.intake.positions(self.service.topic.name).values())
        sample = Sample(
            at=time.time(),
            end=end,
            status=status,
            stored=stored,
            rss=self._process.memory_info().rss,
            members=self._members.look(),
        )
        self.samples.append(sample)
        return sample

    def end_at(self, when: float) -> int:
        """How many records the topic held at least at that time."""
        return max((sample.end for sample in self.samples if sample.at <= when), default=0)

    def close(self) -> None:
        """Let go of the broker."""
        with closing(self._members), closing(self._consumer):
            pass
