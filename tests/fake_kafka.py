"""Kafka in memory: a broker whose days are as bad as a test wants them, and clients that keep our ports.

`tests/contract/test_group_consumer.py` holds the client to the same contract as the adapter of kafka-python.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from kafka.errors import KafkaTimeoutError, NoOffsetForPartitionError, OffsetOutOfRangeError

from consumer.kafka.ports import ClientPosition, NotAssigned, Polled, RebalanceListener
from consumer.kafka.records import Found, Record, Unreadable
from consumer.positions import Partition

_MOST_POLLED = 500


@dataclass
class FakeLog:
    """One partition. Offsets without a record are marks of transactions, or compaction has taken their records."""

    begins: int = 0
    ends: int = 0
    found: list[Found] = field(default_factory=list)
    told_end: int | None = None
    """Where the partition ends when it is asked for that, if the broker tells a wrong end."""
    errors: dict[int, Exception] = field(default_factory=dict)
    """What a poll raises, once, when it comes to an offset."""

    def append(self, value: bytes | None, key: bytes | None = None, timestamp: int = 0) -> int:
        """The offset of a new record."""
        self.found.append(Record(self.ends, timestamp, 0, key, value, []))
        self.ends += 1
        return self.ends - 1

    def mark(self) -> None:
        """A transaction ends."""
        self.ends += 1

    def lose_before(self, offset: int) -> None:
        """Retention takes what is before."""
        self.begins = offset
        self.found = [one for one in self.found if one.offset >= offset]

    def fetch(self, offset: int, most: int) -> tuple[list[Found], int]:
        """Up to so many records from an offset on, and where to go on.

        Raises:
            Exception: what is in `errors` for the offset that comes next.
        """
        trouble = min((at for at in self.errors if at >= offset), default=None)
        ahead = [one for one in self.found if one.offset >= offset and (trouble is None or one.offset < trouble)]
        if not ahead and trouble is not None:
            raise self.errors.pop(trouble)
        given = ahead[:most]
        if len(given) == len(ahead) and trouble is None:
            return given, self.ends
        return given, _following(given[-1]) if given else offset


class FakeBroker:
    """Topics and a consumer group.

    Args:
        topics: how many partitions each has.
    """

    def __init__(self, topics: Mapping[str, int]) -> None:
        self.logs = {Partition(topic, number): FakeLog() for topic, count in topics.items() for number in range(count)}
        self.ids: dict[str, str | None] = {topic: str(uuid4()) for topic in topics}
        self.committed: dict[Partition, int] = {}
        self.away = False
        self.asked = 0
        """How often somebody asked where partitions end."""
        self.members: list[FakeConsumer] = []
        self.generation = 0

    def recreate(self, topic: str) -> None:
        """Delete a topic and make it again, empty."""
        self.ids[topic] = str(uuid4())
        self.logs |= {partition: FakeLog() for partition in self.logs if partition.topic == topic}

    def shared(self, member: FakeConsumer) -> set[Partition]:
        """The partitions of a member of the group."""
        mine = sorted(partition for partition in self.logs if partition.topic in member.topics)
        return set(mine[self.members.index(member) :: len(self.members)])


class FakeConsumer:
    """See `GroupConsumer`: a client of `FakeBroker`.

    Args:
        broker: what it reads from.
        assigned: partitions that it has from the start.
    """

    def __init__(self, broker: FakeBroker, *assigned: Partition) -> None:
        self.broker = broker
        self.topics: Sequence[str] = ()
        self.member = bool(assigned)
        self.errors: list[Exception] = []
        """What the next polls raise; the client has moved on by then over what it does not give."""
        self.most = _MOST_POLLED
        """Records of a poll."""
        self.closed = False
        self._listener: RebalanceListener | None = None
        self._generation = 0
        self._at: dict[Partition, int | None] = dict.fromkeys(assigned)
        self._paused: set[Partition] = set()
        self._highwater: dict[Partition, int] = {}
        self._ids = dict(broker.ids)

    def partitions_for_topic(self, topic: str) -> set[int]:
        """See TopicOffsets."""
        return {partition.number for partition in self.broker.logs if partition.topic == topic}

    def topic_id(self, topic: str) -> str | None:
        """See TopicOffsets."""
        return self._ids.get(topic)

    def beginning_offsets(
        self, partitions: Collection[Partition], timeout_ms: int | None = None
    ) -> dict[Partition, int]:
        """See TopicOffsets."""
        self._answer(timeout_ms)
        return {partition: self.broker.logs[partition].begins for partition in partitions}

    def end_offsets(self, partitions: Collection[Partition], timeout_ms: int | None = None) -> dict[Partition, int]:
        """See TopicOffsets."""
        self.broker.asked += 1
        self._answer(timeout_ms)
        logs = {partition: self.broker.logs[partition] for partition in partitions}
        return {one: log.ends if log.told_end is None else log.told_end for one, log in logs.items()}

    def offsets_for_times(self, times: Mapping[Partition, int]) -> dict[Partition, int | None]:
        """See TopicOffsets."""
        self._answer(None)
        later = {one: [r.offset for r in self.broker.logs[one].found if r.timestamp >= at] for one, at in times.items()}
        return {partition: min(offsets, default=None) for partition, offsets in later.items()}

    def assign(self, partitions: Collection[Partition]) -> None:
        """See TopicReader."""
        self._at = {partition: self._at.get(partition) for partition in partitions}
        self._paused &= self._at.keys()

    def seek(self, partition: Partition, offset: int, leader_epoch: int | None = None) -> None:  # noqa: ARG002
        """See TopicReader."""
        if partition not in self._at:
            raise NotAssigned(f"{partition} is not assigned: no way to offset {offset}")
        self._at[partition] = offset

    def poll(self, timeout_ms: int, max_records: int | None = None) -> Polled:  # noqa: ARG002
        """See TopicReader."""
        if self.broker.away:
            return {}
        self._rebalance()
        if self.errors:
            self._at |= {partition: self.broker.logs[partition].ends for partition in self._fetched()}
            raise self.errors.pop(0)
        if lost := [partition for partition, at in self._at.items() if at is None]:
            raise NoOffsetForPartitionError(lost[0])
        polled: Polled = {}
        room = self.most if max_records is None else max_records
        for partition in self._fetched():
            found, following = self._fetch(partition, room)
            self._at[partition] = following
            room -= len(found)
            if found:
                polled[partition] = found
            if room == 0:
                break
        return polled

    def position(self, partition: Partition) -> ClientPosition | None:
        """See TopicReader."""
        at = self._at.get(partition)
        return None if at is None else ClientPosition(at, None)

    def highwater(self, partition: Partition) -> int | None:
        """See TopicReader."""
        return self._highwater.get(partition) if partition in self._at else None

    def pause(self, *partitions: Partition) -> None:
        """See TopicReader."""
        self._paused |= self._at.keys() & set(partitions)

    def why_away(self) -> str | None:
        """See TopicReader."""
        return "connection refused" if self.broker.away else None

    def close(self, timeout_ms: int | None = None) -> None:  # noqa: ARG002
        """See TopicReader."""
        if self in self.broker.members:
            self.broker.members.remove(self)
            self.broker.generation += 1
        self.closed, self.member = True, False

    def subscribe(self, topics: Sequence[str], listener: RebalanceListener) -> None:
        """See GroupConsumer."""
        self.topics, self._listener = topics, listener
        self.broker.members.append(self)
        self.broker.generation += 1

    def is_member(self) -> bool:
        """See GroupConsumer."""
        return self.member

    def assignment(self) -> set[Partition]:
        """See GroupConsumer."""
        return set(self._at)

    def paused(self) -> set[Partition]:
        """See GroupConsumer."""
        return set(self._paused)

    def resume(self, *partitions: Partition) -> None:
        """See GroupConsumer."""
        self._paused -= set(partitions)

    def validated_position(self, partition: Partition) -> ClientPosition | None:
        """See GroupConsumer."""
        return self.position(partition)

    def commit(self, offsets: Mapping[Partition, int], timeout_ms: int) -> None:
        """See GroupConsumer."""
        self._answer(timeout_ms)
        self.broker.committed |= offsets

    def commit_async(self, offsets: Mapping[Partition, int], done: Callable[[Exception | None], None]) -> None:
        """See GroupConsumer."""
        try:
            self.commit(offsets, 0)
        except KafkaTimeoutError as error:
            done(error)
        else:
            done(None)

    def refresh_metadata(self, timeout_ms: int) -> None:
        """See GroupConsumer."""
        self._answer(timeout_ms)
        self._ids = dict(self.broker.ids)

    def _fetched(self) -> Iterable[Partition]:
        return sorted(self._at.keys() - self._paused)

    def _fetch(self, partition: Partition, most: int) -> tuple[list[Found], int]:
        log, at = self.broker.logs[partition], self._at[partition] or 0
        if not log.begins <= at <= log.ends:
            raise OffsetOutOfRangeError({partition: at})
        self._highwater[partition] = log.ends
        return log.fetch(at, most)

    def _rebalance(self) -> None:
        if self._listener is None or self._generation == self.broker.generation:
            return
        self._generation = self.broker.generation
        self._listener.on_revoked(frozenset(self._at))
        self._at = {partition: self.broker.committed.get(partition) for partition in self.broker.shared(self)}
        self._paused.clear()
        self.member = True
        self._listener.on_assigned(frozenset(self._at))

    def _answer(self, timeout_ms: int | None) -> None:
        if self.broker.away:
            raise KafkaTimeoutError(f"nobody answers in {timeout_ms} ms")


def _following(one: Found) -> int:
    return one.following if isinstance(one, Unreadable) else one.offset + 1
