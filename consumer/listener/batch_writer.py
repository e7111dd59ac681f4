"""What a poll brought goes into the ledger, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.clock import Clock
from consumer.dead_letters.letter import load_of
from consumer.dead_letters.limit import DeadLetterLimit
from consumer.dead_letters.log import DeadLetterLog
from consumer.decoding import decoders, to_batch
from consumer.errors import OffsetConflict
from consumer.kafka.ports import ClientPosition, GroupConsumer, Polled
from consumer.kafka.records import Found
from consumer.ledger.batch import Batch
from consumer.ledger.intake import Intake
from consumer.listener.assignment import Assignment
from consumer.listener.ledger_backoff import LedgerBackoff
from consumer.positions import Partition
from consumer.settings import Settings
from schemas.fault_points import Point, reached
from schemas.log_events.listener import BATCH_NOT_STORED

log = structlog.get_logger()


class BatchWriter:
    """Stores what came from the placed partitions, and moves their offsets on."""

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        assignment: Assignment,
        dead_letter_limit: DeadLetterLimit,
        backoff: LedgerBackoff,
        clock: Clock,
    ) -> None:
        self._decoders = decoders(settings)
        self._intake = intake
        self._assignment = assignment
        self._dead_letter_limit = dead_letter_limit
        self._backoff = backoff
        self._clock = clock
        self._log = DeadLetterLog(clock.elapsed)

    def store(
        self, consumer: GroupConsumer, records: Polled, ahead: Mapping[Partition, ClientPosition]
    ) -> Batch | None:
        """Store the records that a poll brought.

        Args:
            consumer: gave them.
            records: by partition. The dict is emptied.
            ahead: where the client has read further than the ledger, with records or without.

        Returns:
            What was stored; None where nothing was: nothing came, the ledger did not take it, or had no room for its
            dead letters. In the last two cases everything is read again from the ledger's offsets.
        """
        self._log.tick()
        fresh = {partition: batch for partition, batch in records.items() if partition in self._assignment.placed}
        if not fresh and not ahead:
            return None
        expected = {partition: self._assignment.placed[partition] for partition in fresh}
        batch = to_batch(self._decoders, fresh, expected, self._clock.now())
        batch.epochs = {partition: epoch for partition, read in fresh.items() if (epoch := _epoch(read)) is not None}
        self._follow(batch, ahead)
        del fresh
        records.clear()  # what was made of them is smaller, and needs the room
        dead = load_of(batch.dead)
        reached(Point.POLLED)
        try:
            if not self._dead_letter_limit.admits(dead):
                self._assignment.rewind(consumer)
                return None
            self._intake.record(batch)
        except OffsetConflict as error:
            log.error(BATCH_NOT_STORED, reason=str(error))
            self._assignment.rewind(consumer)
            return None
        except DBAPIError as error:
            self._backoff.refused(error)
            self._assignment.rewind(consumer)
            return None
        reached(Point.STORED)
        self._backoff.took()
        for partition, (_, following) in batch.progress.items():
            self._assignment.stored_up_to(partition, following)
        self._dead_letter_limit.stored(dead)
        self._log.tell(batch.dead)
        return batch

    def _follow(self, batch: Batch, ahead: Mapping[Partition, ClientPosition]) -> None:
        """Move on over markers of transactions and aborted records, which the client does not give, by its epoch."""
        for partition, at in ahead.items():
            following = self._assignment.placed[partition]
            first, last = batch.progress.get(partition, (following, following))
            if at.offset > last:
                batch.progress[partition] = (first, at.offset)
                batch.epochs.pop(partition, None)
                if at.leader_epoch is not None:
                    batch.epochs[partition] = at.leader_epoch


def _epoch(records: Sequence[Found]) -> int | None:
    """The leader epoch of the last record; None where the broker does not tell."""
    epoch = records[-1].leader_epoch
    return None if epoch < 0 else epoch
