"""One suite for every `GroupConsumer`: the adapter of kafka-python, on both brokers, and the fake of the tests."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
from kafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.clients import make_admin
from consumer.kafka.connecting import connect
from consumer.kafka.group import Membership
from consumer.kafka.options import admin_options
from consumer.kafka.ports import GroupConsumer, NotAssigned
from consumer.kafka.records import Record
from consumer.positions import Partition
from tests.fake_kafka import FakeBroker, FakeConsumer
from tests.integration.topics import Topic
from tests.waiting import wait_until

PARTITIONS = 2
VALUES = [f"r{number}".encode() for number in range(6)]


class World(ABC):
    """A broker with a topic of two partitions; the first has six records, the second none."""

    topic: str
    one: Partition
    two: Partition
    names_lost_offsets = True
    """Whether a fetch from an offset that is not there is refused; else it brings nothing."""

    @abstractmethod
    def reader(self) -> GroupConsumer:
        """A consumer without a group."""

    @abstractmethod
    def member(self) -> GroupConsumer:
        """A consumer that may join the group."""

    @abstractmethod
    def committed(self) -> dict[Partition, int]:
        """What the group has committed."""


class Fake(World):
    """The fake of the tests."""

    def __init__(self) -> None:
        self.topic = "t"
        self.broker = FakeBroker({"t": PARTITIONS})
        self.one, self.two = Partition("t", 0), Partition("t", 1)
        for value in VALUES:
            self.broker.logs[self.one].append(value)

    def reader(self) -> GroupConsumer:
        """See World."""
        return FakeConsumer(self.broker)

    def member(self) -> GroupConsumer:
        """See World."""
        return FakeConsumer(self.broker)

    def committed(self) -> dict[Partition, int]:
        """See World."""
        return self.broker.committed


class Real(World):
    """A broker, and kafka-python behind our adapter."""

    def __init__(self, address: str, *, names_lost_offsets: bool) -> None:
        self.names_lost_offsets = names_lost_offsets
        topic = Topic.new(address, PARTITIONS)
        topic.send([(None, value, ()) for value in VALUES], partition=0)
        self.topic = topic.name
        self.one, self.two = Partition(topic.name, 0), Partition(topic.name, 1)
        self._settings = KafkaSettings(
            bootstrap_servers=[address], topic=topic.name, group_id=f"g-{topic.name}", session_timeout_ms=6000
        )

    def reader(self) -> GroupConsumer:
        """See World."""
        return self._connected(None)

    def member(self) -> GroupConsumer:
        """See World."""
        return self._connected(Membership("0" * 32, "a"))

    def committed(self) -> dict[Partition, int]:
        """See World."""
        with closing(make_admin(self._settings, admin_options(self._settings))) as admin:
            return admin.list_group_offsets(self._settings.group_id)

    def _connected(self, member: Membership | None) -> GroupConsumer:
        found = connect(
            self._settings,
            grouped=member is not None,
            stopping=threading.Event(),
            waiting=lambda _reason, _pause: None,
            member=member,
        )
        assert found is not None
        return found


@pytest.fixture(params=["fake", "tansu", "kafka"], scope="module")
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "fake":
        return Fake()
    address = request.getfixturevalue(f"{request.param}_address")
    return Real(address, names_lost_offsets=request.param == "kafka")


@contextmanager
def reading(world: World) -> Iterator[GroupConsumer]:
    with closing(world.reader()) as consumer:
        consumer.assign([world.one, world.two])
        consumer.seek(world.one, 0)
        consumer.seek(world.two, 0)
        yield consumer


def polled(consumer: GroupConsumer, partition: Partition, count: int) -> list[Record]:
    """So many records of a partition, and none of any other."""
    found: list[Record] = []

    def enough() -> bool:
        for whose, records in consumer.poll(timeout_ms=200).items():
            assert whose == partition
            assert isinstance(whose, Partition)
            found.extend(record for record in records if isinstance(record, Record))
        return len(found) >= count

    wait_until(enough, 30, f"{count} records")
    return found


def test_topics_answer_without_an_assignment(world: World) -> None:
    with closing(world.reader()) as consumer:
        assert consumer.partitions_for_topic(world.topic) == {0, 1}
        assert consumer.beginning_offsets([world.one, world.two]) == {world.one: 0, world.two: 0}
        ends = consumer.end_offsets({world.one, world.two}, timeout_ms=5000)
        assert ends.keys() == {world.one, world.two}
        assert ends[world.two] == 0 <= ends[world.one] <= len(VALUES)  # Tansu tells where its last batch begins
        assert consumer.why_away() is None


def test_a_topic_keeps_its_id(world: World) -> None:
    with reading(world) as consumer:
        found = consumer.topic_id(world.topic)
        assert found
        consumer.refresh_metadata(5000)
        assert consumer.topic_id(world.topic) == found
        assert consumer.topic_id("nowhere") is None


def test_records_come_in_order_from_where_the_client_was_sought(world: World) -> None:
    with reading(world) as consumer:
        records = polled(consumer, world.one, len(VALUES))
        assert [(record.offset, record.value) for record in records] == list(enumerate(VALUES))
        at = consumer.position(world.one)
        assert at is not None
        assert at.offset == len(VALUES)
        assert consumer.validated_position(world.one) == at
        assert consumer.highwater(world.one) == len(VALUES)
        consumer.seek(world.one, 4)
        at = consumer.position(world.one)
        assert at is not None
        assert at.offset == 4
        assert [record.offset for record in polled(consumer, world.one, 2)] == [4, 5]


def test_a_poll_brings_no_more_than_it_is_asked_for(world: World) -> None:
    with reading(world) as consumer:
        sizes: list[int] = []

        def all_came() -> bool:
            sizes.extend(len(records) for records in consumer.poll(timeout_ms=200, max_records=2).values())
            return sum(sizes) >= len(VALUES)

        wait_until(all_came, 30, "all records")
        assert max(sizes) <= 2
        assert sum(sizes) == len(VALUES)


def test_a_partition_that_is_not_assigned_cannot_be_sought_and_has_no_position(world: World) -> None:
    with closing(world.reader()) as consumer:
        consumer.assign([world.two])
        with pytest.raises(NotAssigned, match=r"\[0\] is not assigned"):
            consumer.seek(world.one, 0)
        with pytest.raises(NotAssigned):
            consumer.seek(world.one, 0, 0)
        assert consumer.position(world.one) is None
        assert consumer.validated_position(world.one) is None
        assert consumer.highwater(world.one) is None
        consumer.pause(world.one, world.two)  # the other one is paused all the same
        assert consumer.paused() == {world.two}
        consumer.resume(world.one, world.two)
        assert consumer.paused() == set()


def test_nothing_is_read_of_a_paused_partition(world: World) -> None:
    with reading(world) as consumer:
        consumer.pause(world.one)
        assert consumer.paused() == {world.one}
        assert all(consumer.poll(timeout_ms=200) == {} for _ in range(3))
        consumer.resume(world.one)
        assert len(polled(consumer, world.one, len(VALUES))) == len(VALUES)


def test_a_partition_that_was_never_sought_is_an_error(world: World) -> None:
    with closing(world.reader()) as consumer:
        consumer.assign([world.one])
        assert consumer.position(world.one) is None
        with pytest.raises(NoOffsetForPartitionError):
            wait_until(lambda: consumer.poll(timeout_ms=200), 20, "the error")


def test_an_offset_that_the_broker_does_not_have_is_named(world: World) -> None:
    with reading(world) as consumer:
        consumer.seek(world.one, 100)
        if not world.names_lost_offsets:
            assert all(consumer.poll(timeout_ms=200) == {} for _ in range(3))
            return
        with pytest.raises(OffsetOutOfRangeError) as raised:
            wait_until(lambda: consumer.poll(timeout_ms=200), 20, "the error")
        assert raised.value.args[0] == {world.one: 100}


def test_records_are_found_by_time(world: World) -> None:
    with closing(world.reader()) as consumer:
        assert consumer.offsets_for_times({world.one: 2**50, world.two: 0}) == {world.one: None, world.two: None}
        assert consumer.offsets_for_times({world.one: 0}) == {world.one: 0}


class Notes:
    """Hears of rebalances, and pauses what comes."""

    def __init__(self, consumer: GroupConsumer) -> None:
        self.heard: list[tuple[str, frozenset[Partition]]] = []
        self._consumer = consumer

    def on_assigned(self, assigned: frozenset[Partition]) -> None:
        """See RebalanceListener."""
        self._consumer.pause(*assigned)
        self.heard.append(("assigned", assigned))

    def on_revoked(self, revoked: frozenset[Partition]) -> None:
        """See RebalanceListener."""
        self.heard.append(("revoked", revoked))

    def on_lost(self, lost: frozenset[Partition]) -> None:
        """See RebalanceListener."""
        self.heard.append(("lost", lost))


def test_a_member_hears_of_its_partitions_reads_and_commits(world: World) -> None:
    both = frozenset({world.one, world.two})
    with closing(world.member()) as consumer:
        notes = Notes(consumer)
        assert not consumer.is_member()
        consumer.subscribe([world.topic], notes)

        def joined() -> bool:
            with suppress(NoOffsetForPartitionError):  # the group has committed nothing
                consumer.poll(timeout_ms=200)
            return consumer.is_member() and bool(notes.heard)

        wait_until(joined, 40, "the client to be in its group")
        assert [one for one in notes.heard if one[1]] == [("assigned", both)]
        assert consumer.assignment() == consumer.paused() == both
        for partition in both:
            consumer.seek(partition, 0)
        consumer.resume(*both)
        assert len(polled(consumer, world.one, len(VALUES))) == len(VALUES)
        consumer.commit({world.one: 3}, timeout_ms=5000)
        answers: list[Exception | None] = []
        consumer.commit_async({world.one: 6, world.two: 0}, answers.append)

        def answered() -> bool:
            consumer.poll(timeout_ms=100)
            return bool(answers)

        wait_until(answered, 20, "the answer to the commit")
        assert answers == [None]
        assert world.committed() == {world.one: 6, world.two: 0}
        consumer.close(timeout_ms=3000)
        consumer.close()
