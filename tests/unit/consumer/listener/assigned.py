"""Assigned partitions for tests of the listener's parts."""

from __future__ import annotations

from consumer.clock import Clock
from consumer.configuration.kafka import KafkaSettings
from consumer.ledger.intake import Intake
from consumer.listener.assignment import Assignment
from consumer.listener.rebalance import Rebalance, RebalanceKind
from consumer.positions import Partition
from tests.fake_kafka import FakeBroker, FakeConsumer

P0, P1 = Partition("t", 0), Partition("t", 1)


class SetClock:
    """A clock that is set by hand."""

    def __init__(self, now: float = 1.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    @property
    def clock(self) -> Clock:
        """Both clocks, which show the same."""
        return Clock(self, self)


class Assigned:
    """A client with these partitions, and an assignment that has noted them."""

    def __init__(self, intake: Intake, broker: FakeBroker, kafka: KafkaSettings, *partitions: Partition) -> None:
        self.time = SetClock()
        self.broker = broker
        self.consumer = FakeConsumer(broker, *partitions)
        self.assignment = Assignment(kafka, intake, self.time.clock)
        self.come(*partitions)

    def come(self, *partitions: Partition) -> None:
        """These are assigned."""
        self.consumer.pause(*partitions)
        self.assignment.note([Rebalance(RebalanceKind.ASSIGNED, frozenset(partitions))])

    def go(self, *partitions: Partition) -> None:
        """These are taken away."""
        self.assignment.note([Rebalance(RebalanceKind.GONE, frozenset(partitions))])

    def place(self) -> None:
        """Place what is not placed, after whatever wait there is."""
        self.time.now += 10
        self.assignment.place(self.consumer)


def broker_with(logs: dict[Partition, tuple[int, int]]) -> FakeBroker:
    """Partitions that begin and end there, with no record in them."""
    topics = {topic: 1 + max(one.number for one in logs if one.topic == topic) for topic in {one.topic for one in logs}}
    broker = FakeBroker(topics)
    for partition, (begins, ends) in logs.items():
        broker.logs[partition].begins, broker.logs[partition].ends = begins, ends
    return broker


def placed_at(intake: Intake, broker: FakeBroker, offsets: dict[Partition, int]) -> Assigned:
    """These partitions, each placed at an offset that the ledger has."""
    intake.start_at(offsets, 0.0)
    assigned = Assigned(intake, broker, KafkaSettings(topic="t"), *offsets)
    assigned.place()
    assert assigned.assignment.placed == offsets
    return assigned
