"""The assigned partitions, and putting them at the ledger's offsets. Records are taken from placed partitions only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from types import MappingProxyType

import structlog
from kafka.errors import KafkaError

from consumer.clock import Clock
from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.ports import ClientPosition, GroupConsumer, NotAssigned
from consumer.ledger.intake import Intake
from consumer.listener.rebalance import Rebalance, RebalanceKind
from consumer.positions import Mark, Partition
from schemas.fault_points import Point, reached
from schemas.log_events.listener import PARTITIONS_ASSIGNED, PARTITIONS_GONE, PARTITIONS_NOT_PLACED

log = structlog.get_logger()

RETRY_AFTER = 1.0
ASK_MS = 5000
"""How long to wait for a broker's answer within a turn. Longer than that, and polling would suffer."""


class Assignment:
    """Assigned partitions are unplaced, and paused, until they stand at the ledger's offset; then they are placed.

    A partition of a recreated topic (deleted, and made again under its name since the ledger read it) cannot be placed
    before its gap is on record.

    Args:
        kafka: the topics, and where to start on a topic that the ledger does not know.
        intake: tells and keeps the ledger's offsets.
        clock: by which a failed attempt is repeated.
    """

    def __init__(self, kafka: KafkaSettings, intake: Intake, clock: Clock) -> None:
        self._topics = kafka.topics
        self._start = kafka.start
        self._intake = intake
        self._clock = clock
        self._placed: dict[Partition, int] = {}
        self._unplaced: set[Partition] = set()
        self._recreated: dict[Partition, int] = {}
        self._first_ends: dict[Partition, int] = {}
        self._topic_ids: dict[str, str] = {}
        self._retry_at = 0.0
        self._joined = False
        self._moves = 0

    @property
    def moves(self) -> int:
        """Grows when partitions come or go, or are put elsewhere: what was read before does not lead up to them."""
        return self._moves

    @property
    def placed(self) -> Mapping[Partition, int]:
        """The placed partitions, each with the ledger's next offset."""
        return MappingProxyType(self._placed)

    @property
    def unplaced(self) -> Set[Partition]:
        """The assigned partitions that are not placed yet."""
        return frozenset(self._unplaced)

    @property
    def recreated(self) -> Mapping[Partition, int]:
        """The partitions of recreated topics, each with the ledger's next offset in the old topic."""
        return MappingProxyType(self._recreated)

    @property
    def idle(self) -> bool:
        """Whether the group gave us nothing to read, as it does where there are more members than partitions."""
        return self._joined and not self._placed and not self._unplaced

    @property
    def settled(self) -> bool:
        """Whether there are partitions, and all of them are placed."""
        return bool(self._placed) and not self._unplaced

    @property
    def caught_up(self) -> bool:
        """Whether all is stored that the partitions held when they were first assigned; True also when idle."""
        stored = all(at >= self._first_ends[partition] for partition, at in self._placed.items())
        return (self.settled or self.idle) and stored

    def topic_id(self, topic: str) -> str | None:
        """The id that the topic had when its partitions were last placed; None where the broker did not say."""
        return self._topic_ids.get(topic)

    def note(self, notes: Iterable[Rebalance]) -> None:
        """Take in what was assigned and taken away."""
        for note in notes:
            self._moves += 1
            self._joined = note.kind is RebalanceKind.ASSIGNED
            for partition in note.partitions:
                self._placed.pop(partition, None)
                self._unplaced.discard(partition)
                self._recreated.pop(partition, None)
            if self._joined:
                self._unplaced |= note.partitions
                self._retry_at = 0.0
            named = [str(partition) for partition in sorted(note.partitions)]
            log.info(PARTITIONS_ASSIGNED if self._joined else PARTITIONS_GONE, partitions=named)

    def stored_up_to(self, partition: Partition, following: int) -> None:
        """The ledger has what comes before `following`; a partition that is not placed is left as it is."""
        if partition in self._placed:
            self._placed[partition] = following

    def place(self, consumer: GroupConsumer) -> None:
        """Seek the unplaced partitions to the ledger's offsets and let them be fetched; later, where that fails.

        Raises:
            DBAPIError: the ledger cannot be asked, or does not take a start.
        """
        if any(found != self._topic_ids.get(topic) for topic, found in _topic_ids(consumer, self._placed)):
            self.rewind(consumer)
            self._retry_at = 0.0
        if not self._unplaced or self._clock.elapsed() < self._retry_at:
            return
        try:
            self._place(consumer)
        except (KafkaError, NotAssigned) as error:
            log.warning(PARTITIONS_NOT_PLACED, reason=str(error) or type(error).__name__)
            self._retry_at = self._clock.elapsed() + RETRY_AFTER

    def look_for_recreated_topics(self, consumer: GroupConsumer) -> None:
        """Count the placed partitions as `recreated` whose topic has another id by now."""
        for topic, found in _topic_ids(consumer, self._placed):
            if self._topic_ids.get(topic, found) != found:
                self._recreated |= {one: offset for one, offset in self._placed.items() if one.topic == topic}
                self._topic_ids[topic] = found

    def gap_recorded(self, partition: Partition) -> None:
        """A gap was put on record: where the partition ended before means nothing now."""
        self._moves += 1
        self._first_ends.pop(partition, None)

    def rewind(self, consumer: GroupConsumer) -> None:
        """Pause all partitions and place them again a little later; polling, and so membership, goes on.

        What was known of recreated topics is forgotten: placing finds out again.
        """
        self._moves += 1
        self._unplaced |= self._placed.keys()
        self._placed.clear()
        self._recreated.clear()
        consumer.pause(*self._unplaced)
        self._retry_at = self._clock.elapsed() + RETRY_AFTER

    def clear(self) -> None:
        """Nothing is assigned: there is another client now."""
        self._moves += 1
        self._placed.clear()
        self._unplaced.clear()
        self._recreated.clear()

    def ahead_of_ledger(self, consumer: GroupConsumer) -> dict[Partition, ClientPosition]:
        """Where the client has read further than the ledger's next offset, and how far.

        The client has read further by the records of the last poll, and by transaction markers and aborted records,
        which it never gives. If the ledger did not follow these, they would look like lag, and like lost records once
        retention has taken them.

        Raises:
            LogTruncationError: a log is not the one that was read.
        """
        ahead: dict[Partition, ClientPosition] = {}
        for partition, following in self._placed.items():
            at = consumer.validated_position(partition)
            if at is not None and at.offset > following:
                ahead[partition] = at
        return ahead

    def _place(self, consumer: GroupConsumer) -> None:
        marks = {partition: mark for topic in self._topics for partition, mark in self._intake.marks(topic).items()}
        found = dict(_topic_ids(consumer, self._unplaced))
        self._topic_ids |= found
        known = {partition: marks[partition] for partition in self._unplaced & marks.keys()}
        self._recreated = {
            partition: mark.next_offset
            for partition, mark in known.items()
            if partition.topic in found and mark.topic_id not in (None, found[partition.topic])
        }
        here = self._unplaced - self._recreated.keys()
        if unseen := here - self._first_ends.keys():
            self._first_ends |= consumer.end_offsets(unseen, timeout_ms=ASK_MS)
        for topic in {partition.topic for partition in here - marks.keys()}:
            marks |= self._begin(consumer, topic, marks.keys(), here, found.get(topic))
        for topic in {one.topic for one, mark in known.items() if mark.topic_id is None and one.topic in found}:
            self._intake.identify(topic, found[topic])
        reached(Point.PLACING)
        for partition in sorted(here):
            mark = marks[partition]
            consumer.seek(partition, mark.next_offset, mark.leader_epoch)
            self._placed[partition] = mark.next_offset
        consumer.resume(*here)
        self._unplaced -= here
        reached(Point.PLACED)

    def _begin(
        self, consumer: GroupConsumer, topic: str, known: Iterable[Partition], here: set[Partition], found: str | None
    ) -> dict[Partition, Mark]:
        """Begin on a topic's partitions that the ledger does not know: where it knows none of them, on all at once.

        A partition that is new in a known topic has not been there for long: nothing of it may be skipped. So where
        reading begins at the end, other instances have to know which partitions were there then.
        """
        here = {partition for partition in here if partition.topic == topic}
        if known := {partition for partition in known if partition.topic == topic}:
            starts = consumer.beginning_offsets(here - known, timeout_ms=ASK_MS)
        else:
            there = {Partition(topic, number) for number in consumer.partitions_for_topic(topic)}
            ask = consumer.end_offsets if self._start == "latest" else consumer.beginning_offsets
            starts = ask(there | here, timeout_ms=ASK_MS)
        self._intake.start_at(starts, self._clock.now(), found)
        marks = self._intake.marks(topic)  # another instance may have been first
        return {partition: marks[partition] for partition in starts}


def _topic_ids(consumer: GroupConsumer, partitions: Iterable[Partition]) -> list[tuple[str, str]]:
    """The topics of partitions with their ids, where the client knows them."""
    topics = sorted({partition.topic for partition in partitions})
    return [(topic, found) for topic in topics if (found := consumer.topic_id(topic)) is not None]
