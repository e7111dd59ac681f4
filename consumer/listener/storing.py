"""What a poll brought goes into the ledger, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from kafka import TopicPartition
from sqlalchemy.exc import DBAPIError

from consumer.clock import Clock
from consumer.decoding import decoders, to_batch
from consumer.errors import OffsetConflict
from consumer.ledger.batch import Batch, load_of
from consumer.ledger.intake import Intake
from consumer.listener.flood import FloodGuard
from consumer.listener.letter_log import LetterLog
from consumer.listener.places import Places, Stand, partition_of, tp_of
from consumer.listener.pressure import Pressure
from consumer.settings import Settings
from schemas.fault_points import Point, reached
from schemas.log_events.listener import BATCH_NOT_STORED

log = structlog.get_logger()


class Storing:
    """Stores what came from the placed partitions, and moves their offsets on."""

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        places: Places,
        flood: FloodGuard,
        pressure: Pressure,
        clock: Clock,
    ) -> None:
        self._decoders = decoders(settings)
        self._intake = intake
        self._places = places
        self._flood = flood
        self._pressure = pressure
        self._clock = clock
        self._log = LetterLog(clock.elapsed)

    def store(
        self, consumer: Any, records: dict[TopicPartition, list[Any]], passed: Mapping[TopicPartition, Stand]
    ) -> Batch | None:
        """What was stored; None where nothing was, as nothing came, or the ledger did not take it, or had no room.

        In the latter cases everything is read again from the ledger's offsets. `records` is emptied. `passed` is where
        the client stands behind the ledger, be it with records or without.
        """
        self._log.tick()
        fresh = {tp: batch for tp, batch in records.items() if tp in self._places.next}
        if not fresh and not passed:
            return None
        fetched = {partition_of(tp): batch for tp, batch in fresh.items()}
        expected = {partition_of(tp): self._places.next[tp] for tp in fresh}
        batch = to_batch(self._decoders, fetched, expected, self._clock.now())
        batch.epochs = {partition_of(tp): epoch for tp, read in fresh.items() if (epoch := _epoch(read)) is not None}
        self._pass(batch, passed)
        del fresh, fetched
        records.clear()  # what was made of them is smaller, and needs the room
        dead = load_of(batch.dead)
        reached(Point.POLLED)
        try:
            if not self._flood.admits(dead):
                self._places.rewind(consumer)
                return None
            self._intake.record(batch)
        except OffsetConflict as error:
            log.error(BATCH_NOT_STORED, reason=str(error))
            self._places.rewind(consumer)
            return None
        except DBAPIError as error:
            self._pressure.refused(error)
            self._places.rewind(consumer)
            return None
        reached(Point.STORED)
        self._pressure.took()
        for partition, (_, following) in batch.progress.items():
            self._places.next[tp_of(partition)] = following
        self._flood.stored(dead)
        self._log.tell(batch.dead)
        return batch

    def _pass(self, batch: Batch, passed: Mapping[TopicPartition, Stand]) -> None:
        """Go on behind markers of transactions and aborted records, which the client does not give, by its epoch."""
        for tp, at in passed.items():
            partition, following = partition_of(tp), self._places.next[tp]
            first, last = batch.progress.get(partition, (following, following))
            if at.offset > last:
                batch.progress[partition] = (first, at.offset)
                batch.epochs.pop(partition, None)
                if at.leader_epoch is not None:
                    batch.epochs[partition] = at.leader_epoch


def _epoch(records: Sequence[Any]) -> int | None:
    """The leader epoch of the last record; None where the broker does not tell."""
    epoch: int | None = records[-1].leader_epoch
    return None if epoch is None or epoch < 0 else epoch
