"""The assigned partitions, and where each stands. What is read is taken from placed partitions only."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError, LogTruncationError

from consumer.clock import Clock
from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.client import position, seek, topic_id
from consumer.ledger.batch import Mark, Partition
from consumer.ledger.intake import Intake
from consumer.listener.rebalance import Rebalance
from schemas.fault_points import Point, reached
from schemas.log_events.listener import PARTITIONS_ASSIGNED, PARTITIONS_GONE, PARTITIONS_NOT_PLACED

log = structlog.get_logger()

RETRY_AFTER = 1.0
ASK_MS = 5000
"""How long to wait for a broker's answer within a turn. Longer than that, and polling would suffer."""
WENT_AWAY = (ValueError, KeyError, AssertionError)
"""What the client raises where a partition is not assigned any more; the note of it comes with the next turn."""


class Stand(NamedTuple):
    """Where the client stands: the offset it reads next, and the leader epoch of what is before; None if unknown."""

    offset: int
    leader_epoch: int | None


class Places:
    """Assigned partitions are unplaced, and paused, until they stand at the ledger's offset; then they are placed.

    `next` has the ledger's next offset of each placed partition; `ends` where each ended when it was first assigned;
    `anew` the next offset of those that cannot be placed because their topic was made anew since the ledger read it.
    """

    def __init__(self, kafka: KafkaSettings, intake: Intake, clock: Clock) -> None:
        self.next: dict[TopicPartition, int] = {}
        self.unplaced: set[TopicPartition] = set()
        self.ends: dict[TopicPartition, int] = {}
        self.anew: dict[TopicPartition, int] = {}
        self.topic_ids: dict[str, str] = {}
        """Of the topics as they were found when partitions were placed last, where the broker says."""
        self._topics = kafka.topics
        self._start = kafka.start
        self._intake = intake
        self._clock = clock
        self._retry_at = 0.0
        self._joined = False

    @property
    def idle(self) -> bool:
        """Whether the group gave us nothing to read, as it does where there are more members than partitions."""
        return self._joined and not self.next and not self.unplaced

    @property
    def settled(self) -> bool:
        """Whether there are partitions, and all of them are placed."""
        return bool(self.next) and not self.unplaced

    def note(self, notes: Iterable[Rebalance]) -> None:
        """Take in what was assigned and taken away."""
        for note in notes:
            self._joined = note.what == "assigned"
            for partition in note.partitions:
                self.next.pop(partition, None)
                self.unplaced.discard(partition)
                self.anew.pop(partition, None)
            if note.what == "assigned":
                self.unplaced |= note.partitions
                self._retry_at = 0.0
            named = [str(Partition(*partition)) for partition in sorted(note.partitions)]
            log.info(PARTITIONS_ASSIGNED if note.what == "assigned" else PARTITIONS_GONE, partitions=named)

    def place(self, consumer: Any) -> None:
        """Seek the unplaced partitions to the ledger's offsets and let them be fetched; later, where that fails.

        Raises:
            DBAPIError: the ledger cannot be asked, or does not take a start.
        """
        if any(found != self.topic_ids.get(topic) for topic, found in self._found(consumer, self.next)):
            self.rewind(consumer)
            self._retry_at = 0.0
        if not self.unplaced or self._clock.elapsed() < self._retry_at:
            return
        try:
            self._place(consumer)
        except (KafkaError, *WENT_AWAY) as error:
            log.warning(PARTITIONS_NOT_PLACED, reason=str(error) or type(error).__name__)
            self._retry_at = self._clock.elapsed() + RETRY_AFTER

    def look_for_new_topic(self, consumer: Any) -> None:
        """Put the placed partitions into `anew` where the client knows by now that their topic is another one."""
        for topic, found in self._found(consumer, self.next):
            if self.topic_ids.get(topic, found) != found:
                self.anew |= {tp: offset for tp, offset in self.next.items() if tp.topic == topic}
                self.topic_ids[topic] = found

    def rewind(self, consumer: Any) -> None:
        """Pause everything and place it again a little later; polling, and so membership, goes on."""
        self.unplaced |= self.next.keys()
        self.next.clear()
        for partition in self.unplaced:
            with suppress(*WENT_AWAY):
                consumer.pause(partition)
        self._retry_at = self._clock.elapsed() + RETRY_AFTER

    def clear(self) -> None:
        """Nothing is assigned: there is another consumer now."""
        self.next.clear()
        self.unplaced.clear()
        self.anew.clear()

    def passed(self, consumer: Any) -> dict[TopicPartition, Stand]:
        """Where the client stands behind the ledger's next offset.

        Besides behind what it has just given, that is behind transaction markers and aborted records, which it never
        gives. Left where they are, they would look like lag, and like lost records once retention has taken them.

        Raises:
            LogTruncationError: a log is not the one that was read.
        """
        beyond: dict[TopicPartition, Stand] = {}
        for partition, following in self.next.items():
            at = _stand(consumer, partition)
            if at is not None and at.offset > following:
                beyond[partition] = at
        return beyond

    def _place(self, consumer: Any) -> None:
        marks = {tp_of(at): mark for topic in self._topics for at, mark in self._intake.marks(topic).items()}
        found = dict(self._found(consumer, self.unplaced))
        self.topic_ids |= found
        known = {tp: marks[tp] for tp in self.unplaced & marks.keys()}
        self.anew = {
            tp: mark.next_offset
            for tp, mark in known.items()
            if tp.topic in found and mark.topic_id not in (None, found[tp.topic])
        }
        here = self.unplaced - self.anew.keys()
        if unseen := here - self.ends.keys():
            self.ends |= consumer.end_offsets(list(unseen), timeout_ms=ASK_MS)
        for topic in {tp.topic for tp in here - marks.keys()}:
            marks |= self._begin(consumer, topic, marks.keys(), here, found.get(topic))
        for topic in {tp.topic for tp, mark in known.items() if mark.topic_id is None and tp.topic in found}:
            self._intake.identify(topic, found[topic])
        reached(Point.PLACING)
        for partition in sorted(here):
            mark = marks[partition]
            seek(consumer, partition, mark.next_offset, mark.leader_epoch)
            self.next[partition] = mark.next_offset
        consumer.resume(*here)
        self.unplaced -= here
        reached(Point.PLACED)

    def _found(self, consumer: Any, partitions: Iterable[TopicPartition]) -> list[tuple[str, str]]:
        """The topics of partitions with their ids, where the client knows them."""
        topics = sorted({tp.topic for tp in partitions})
        return [(topic, found) for topic in topics if (found := topic_id(consumer, topic)) is not None]

    def _begin(
        self, consumer: Any, topic: str, known: Iterable[TopicPartition], here: set[TopicPartition], found: str | None
    ) -> dict[TopicPartition, Mark]:
        """Begin on a topic's partitions that the ledger does not know: where it knows none of them, on all at once.

        A partition that is new in a known topic has not been there for long: nothing of it may be skipped. So where
        reading begins at the end, other instances have to know which partitions were there then.
        """
        here = {tp for tp in here if tp.topic == topic}
        if known := {tp for tp in known if tp.topic == topic}:
            starts = consumer.beginning_offsets(list(here - known), timeout_ms=ASK_MS)
        else:
            there = {TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()}
            asked = consumer.end_offsets if self._start == "latest" else consumer.beginning_offsets
            starts = asked(list(there | here), timeout_ms=ASK_MS)
        self._intake.start_at({partition_of(tp): start for tp, start in starts.items()}, self._clock.now(), found)
        marks = self._intake.marks(topic)  # another instance may have been first
        return {tp: marks[partition_of(tp)] for tp in starts}


def _stand(consumer: Any, tp: TopicPartition) -> Stand | None:
    """Where the next fetch begins, behind any transaction markers; None while the client is not sure of it itself.

    After a broker came back the client first has the position validated, which asks the broker and can fail.

    Raises:
        LogTruncationError: a log is not the one that was read. The client says so only once.
    """
    try:
        consumer.position(tp, timeout_ms=0)  # which says so
        at = position(consumer, tp)
    except LogTruncationError:
        raise
    except (KafkaError, *WENT_AWAY):
        return None
    return None if at is None else Stand(at.offset, at.leader_epoch if at.leader_epoch >= 0 else None)


def partition_of(tp: TopicPartition) -> Partition:
    """The ledger's name of a partition."""
    return Partition(tp.topic, tp.partition)


def tp_of(partition: Partition) -> TopicPartition:
    """The client's name of a partition."""
    return TopicPartition(partition.topic, partition.number)
