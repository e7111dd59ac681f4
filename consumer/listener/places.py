"""The assigned partitions, and where each stands. What is read is taken from placed partitions only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError, LogTruncationError

from consumer.kafka.client import position, seek, topic_id
from consumer.kafka.settings import KafkaSettings
from consumer.ledger.batch import Mark, Partition
from consumer.ledger.intake import Intake
from consumer.listener.rebalance import Rebalance
from schemas.fault_points import Point, reached

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

    def __init__(self, kafka: KafkaSettings, intake: Intake, clock: Callable[[], float]) -> None:
        self.next: dict[TopicPartition, int] = {}
        self.unplaced: set[TopicPartition] = set()
        self.ends: dict[TopicPartition, int] = {}
        self.anew: dict[TopicPartition, int] = {}
        self.topic_id: str | None = None
        """Of the topic as it was found when partitions were placed last."""
        self._topic = kafka.topic
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
            named = sorted(partition.partition for partition in note.partitions)
            log.info("partitions assigned" if note.what == "assigned" else "partitions gone", partitions=named)

    def place(self, consumer: Any) -> None:
        """Seek the unplaced partitions to the ledger's offsets and let them be fetched; later, where that fails.

        Raises:
            DBAPIError: the ledger cannot be asked, or does not take a start.
        """
        if self.next and topic_id(consumer, self._topic) not in (None, self.topic_id):
            self.rewind(consumer)
            self._retry_at = 0.0
        if not self.unplaced or self._clock() < self._retry_at:
            return
        try:
            self._place(consumer)
        except (KafkaError, *WENT_AWAY) as error:
            log.warning("cannot place partitions yet", reason=str(error) or type(error).__name__)
            self._retry_at = self._clock() + RETRY_AFTER

    def look_for_new_topic(self, consumer: Any) -> None:
        """Put the placed partitions into `anew` where the client knows by now that the topic is another one."""
        found = topic_id(consumer, self._topic)
        if found and self.topic_id not in (None, found):
            self.anew |= self.next
            self.topic_id = found

    def rewind(self, consumer: Any) -> None:
        """Pause everything and place it again a little later; polling, and so membership, goes on."""
        self.unplaced |= self.next.keys()
        self.next.clear()
        for partition in self.unplaced:
            with suppress(*WENT_AWAY):
                consumer.pause(partition)
        self._retry_at = self._clock() + RETRY_AFTER

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
        marks = {tp_of(partition): mark for partition, mark in self._intake.marks(self._topic).items()}
        found = topic_id(consumer, self._topic)
        self.topic_id = found or self.topic_id
        known = {tp: marks[tp] for tp in self.unplaced & marks.keys()}
        self.anew = {tp: mark.next_offset for tp, mark in known.items() if found and mark.topic_id not in (None, found)}
        here = self.unplaced - self.anew.keys()
        if unseen := here - self.ends.keys():
            self.ends |= consumer.end_offsets(list(unseen), timeout_ms=ASK_MS)
        if here - marks.keys():
            marks |= self._begin(consumer, marks.keys(), here, found)
        if found and any(mark.topic_id is None for mark in known.values()):
            self._intake.identify(self._topic, found)
        reached(Point.PLACING)
        for partition in sorted(here):
            mark = marks[partition]
            seek(consumer, partition, mark.next_offset, mark.leader_epoch)
            self.next[partition] = mark.next_offset
        consumer.resume(*here)
        self.unplaced -= here
        reached(Point.PLACED)

    def _begin(
        self, consumer: Any, known: Iterable[TopicPartition], here: set[TopicPartition], found: str | None
    ) -> dict[TopicPartition, Mark]:
        """Begin on partitions that the ledger does not know: in a topic that it does not know, on all of them at once.

        A partition that is new in a known topic has not been there for long: nothing of it may be skipped. So where
        reading begins at the end, other instances have to know which partitions were there then.
        """
        if known := set(known):
            starts = consumer.beginning_offsets(list(here - known), timeout_ms=ASK_MS)
        else:
            there = {TopicPartition(self._topic, number) for number in consumer.partitions_for_topic(self._topic) or ()}
            asked = consumer.end_offsets if self._start == "latest" else consumer.beginning_offsets
            starts = asked(list(there | here), timeout_ms=ASK_MS)
        self._intake.start_at({partition_of(tp): start for tp, start in starts.items()}, self._clock(), found)
        marks = self._intake.marks(self._topic)  # another instance may have been first
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
