"""Records that cannot be had. Each gap is put on record, and reading goes on behind it: never a silent jump."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError

from consumer.errors import OffsetConflict
from consumer.kafka_client import why_corrupt
from consumer.kafka_settings import KafkaSettings
from consumer.ledger.intake import DeadLetter, Intake, Position
from consumer.listener.places import RETRY_AFTER, Places, partition_of

log = structlog.get_logger()


class Gaps:
    """Gets the partitions of `places` across what the broker does not give."""

    def __init__(
        self,
        kafka: KafkaSettings,
        intake: Intake,
        places: Places,
        clock: Callable[[], float],
        stopping: threading.Event,
    ) -> None:
        self._kafka = kafka
        self._intake = intake
        self._places = places
        self._clock = clock
        self._stopping = stopping
        self._lost: dict[TopicPartition, int] = {}  # where the broker said that it no longer has what we want

    def lost(self, wanted: Mapping[TopicPartition, int]) -> None:
        """The broker no longer has these offsets."""
        self._lost |= wanted

    def cross(self, consumer: Any) -> None:
        """Records that the broker no longer has are put on record as lost; reading goes on where the topic begins."""
        if not self._lost:
            return
        try:
            begins = consumer.beginning_offsets(list(self._lost))
            for tp, wanted in self._lost.items():
                reason = f"offsets from {wanted} on are gone, the topic begins at {begins[tp]}: retrain in full"
                position = Position(tp.topic, tp.partition, wanted)
                log.error("gap in the topic", position=str(position), reason=reason)
                letter = DeadLetter(position, self._clock(), None, None, {}, "gap", reason)
                expected = self._places.next.get(tp, wanted)
                self._intake.jump(partition_of(tp), expected, begins[tp], letter, self._clock())
            self._lost.clear()
        except OffsetConflict:
            self._lost.clear()  # somebody moved it: if offsets are still missing, the broker says so again
        except (KafkaError, DBAPIError) as error:
            log.warning("cannot cross the gap yet", reason=str(error) or type(error).__name__)
        self._places.rewind(consumer)

    def pass_over_corrupt(self, consumer: Any) -> None:
        """Go on behind the records that the client cannot parse, with a dead letter for each.

        The client does not say where they are, and its poll never returns once it has met the same one twice. So every
        partition is probed by a consumer of its own, and this one does not poll before it stands behind them.
        """
        for partition in sorted(self._places.next):
            while not self._stopping.is_set():
                try:
                    if (reason := why_corrupt(self._kafka, partition, self._places.next[partition])) is not None:
                        self._bury(partition, reason)
                    break
                except OffsetConflict:
                    self._places.rewind(consumer)
                    return
                except (KafkaError, DBAPIError) as error:
                    log.warning("cannot pass over a corrupt record yet", reason=str(error) or type(error).__name__)
                    self._stopping.wait(RETRY_AFTER)
        for partition, offset in self._places.next.items():
            with suppress(KafkaError, AssertionError):  # it went away; the note of it comes next
                consumer.seek(partition, offset)

    def _bury(self, partition: TopicPartition, reason: str) -> None:
        position = Position(partition.topic, partition.partition, self._places.next[partition])
        log.error("record cannot be parsed", position=str(position), reason=reason)
        letter = DeadLetter(position, self._clock(), None, None, {}, "fetch", reason)
        self._intake.jump(partition_of(partition), position.offset, position.offset + 1, letter, self._clock())
        self._places.next[partition] += 1
