"""What polls brought goes into the ledger, in one transaction."""

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
from consumer.listener.window import Window
from consumer.positions import Partition
from consumer.settings import Settings
from schemas.fault_points import Point, reached
from schemas.log_events.listener import BATCH_NOT_STORED

log = structlog.get_logger()


class BatchWriter:
    """Stores what came from the placed partitions, and moves their offsets on.

    Polls of a backlog are gathered first, see `Window`. What is gathered counts for nothing, and is read again, once
    partitions have come, gone or been put elsewhere.
    """

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
        self._window: Window | None = None

    def store(
        self, consumer: GroupConsumer, records: Polled, ahead: Mapping[Partition, ClientPosition]
    ) -> Batch | None:
        """Store the records that a poll brought, or gather them with those of the next polls.

        Args:
            consumer: gave them.
            records: by partition. The dict is emptied.
            ahead: where the client has read further than the ledger, with records or without.

        Returns:
            What was stored; None where nothing was: nothing came, it is gathered, the ledger did not take it, or had no
            room for its dead letters. In the last two cases everything is read again from the ledger's offsets.
        """
        self._log.tick()
        window = self._valid_window(consumer)
        placed = self._assignment.placed
        fresh = {partition: batch for partition, batch in records.items() if partition in placed}
        if not fresh and not ahead and window is None:
            return None
        before = None if window is None else window.batch
        read_up_to = {partition: following for partition, (_, following) in before.progress.items()} if before else {}
        expected = {partition: read_up_to.get(partition, placed[partition]) for partition in fresh}
        batch = to_batch(self._decoders, fresh, expected, self._clock.now(), before)
        came = sum(map(len, fresh.values()))
        for partition, read in fresh.items():
            _note_epoch(batch, partition, _epoch(read))
        self._follow(batch, {partition: at for partition, at in ahead.items() if partition in placed})
        del fresh
        records.clear()  # what was made of them is smaller, and needs the room
        reached(Point.POLLED)
        now = self._clock.elapsed()
        self._window = window or Window(batch, now, self._assignment.moves)
        if self._window.stays_open(now, came, more_waits=self._more_waits(consumer, batch)):
            return None
        return self._record(consumer)

    def finish(self, consumer: GroupConsumer) -> Batch | None:
        """Store what is gathered, if anything is: nobody knows whether more polls come. Returns as `store` does."""
        return None if self._valid_window(consumer) is None else self._record(consumer)

    def _valid_window(self, consumer: GroupConsumer) -> Window | None:
        window = self._window
        if window is None or window.moves == self._assignment.moves:
            return window
        self._window = None
        if window.batch.progress.keys() & self._assignment.placed.keys():
            self._assignment.rewind(consumer)  # or what comes next would be taken for what follows on the ledger's
        return None

    def _more_waits(self, consumer: GroupConsumer, batch: Batch) -> bool:
        """Whether the last fetches left something at the broker."""
        return any(
            (ends := consumer.highwater(partition)) is not None
            and ends > batch.progress.get(partition, (following, following))[1]
            for partition, following in self._assignment.placed.items()
        )

    def _record(self, consumer: GroupConsumer) -> Batch | None:
        assert self._window is not None
        batch, self._window = self._window.batch, None
        dead = load_of(batch.dead)
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
                _note_epoch(batch, partition, at.leader_epoch)


def _note_epoch(batch: Batch, partition: Partition, epoch: int | None) -> None:
    batch.epochs.pop(partition, None)
    if epoch is not None:
        batch.epochs[partition] = epoch


def _epoch(records: Sequence[Found]) -> int | None:
    """The leader epoch of the last record; None where the broker does not tell."""
    epoch = records[-1].leader_epoch
    return None if epoch < 0 else epoch
