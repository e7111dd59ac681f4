"""The assigned partitions, and where each stands. What is read is taken from placed partitions only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError

from consumer.kafka_settings import KafkaSettings
from consumer.ledger.intake import Intake, Partition
from consumer.listener.rebalance import Rebalance

log = structlog.get_logger()

RETRY_AFTER = 1.0


class Places:
    """Assigned partitions are unplaced, and paused, until they stand at the ledger's offset; then they are placed.

    `next` has the ledger's next offset of each placed partition; `ends` where each ended when it was first assigned.
    """

    def __init__(self, kafka: KafkaSettings, intake: Intake, clock: Callable[[], float]) -> None:
        self.next: dict[TopicPartition, int] = {}
        self.unplaced: set[TopicPartition] = set()
        self.ends: dict[TopicPartition, int] = {}
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
            if note.what == "assigned":
                self.unplaced |= note.partitions
                self._retry_at = 0.0
            named = sorted(partition.partition for partition in note.partitions)
            log.info("partitions assigned" if note.what == "assigned" else "partitions gone", partitions=named)

    def place(self, consumer: Any) -> None:
        """Seek the unplaced partitions to the ledger's offsets and let them be fetched; later, where that fails."""
        if not self.unplaced or self._clock() < self._retry_at:
            return
        try:
            self._place(consumer)
        except (KafkaError, DBAPIError, AssertionError) as error:
            # An assertion of the client: the partition went away while it was being placed.
            log.warning("cannot place partitions yet", reason=str(error) or type(error).__name__)
            self._retry_at = self._clock() + RETRY_AFTER

    def rewind(self, consumer: Any) -> None:
        """Pause everything and place it again a little later; polling, and so membership, goes on."""
        self.unplaced |= self.next.keys()
        self.next.clear()
        consumer.pause(*self.unplaced)
        self._retry_at = self._clock() + RETRY_AFTER

    def _place(self, consumer: Any) -> None:
        known = {tp_of(partition): offset for partition, offset in self._intake.positions(self._topic).items()}
        if unseen := self.unplaced - self.ends.keys():
            self.ends |= consumer.end_offsets(list(unseen))
        if new := self.unplaced - known.keys():
            # A partition that is new in a known topic has not been there for long: nothing of it may be skipped.
            at_end = self._start == "latest" and not known
            starts = {tp: self.ends[tp] for tp in new} if at_end else consumer.beginning_offsets(list(new))
            self._intake.start_at({partition_of(tp): start for tp, start in starts.items()}, self._clock())
            known |= starts
        for partition in sorted(self.unplaced):
            consumer.seek(partition, known[partition])
            self.next[partition] = known[partition]
        consumer.resume(*self.unplaced)
        self.unplaced.clear()


def partition_of(tp: TopicPartition) -> Partition:
    """The ledger's name of a partition."""
    return Partition(tp.topic, tp.partition)


def tp_of(partition: Partition) -> TopicPartition:
    """The client's name of a partition."""
    return TopicPartition(partition.topic, partition.number)
