"""Records that cannot be had. Each gap is put on record, and reading goes on behind it: never a silent jump."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError

from consumer.configuration.kafka import KafkaSettings
from consumer.errors import OffsetConflict
from consumer.kafka.client import refresh_metadata, seek, why_corrupt
from consumer.ledger.batch import DeadLetter, Load, Position
from consumer.ledger.intake import Intake
from consumer.listener.places import ASK_MS, Places, partition_of
from schemas.log_events.listener import GAP, GAP_NOT_RECORDED, NO_GAP, RECORD_UNREADABLE

log = structlog.get_logger()

_TO_DO = "then retrain in full: retrainer train --full"


class _Log(NamedTuple):
    """Where a partition begins and ends now."""

    begins: int
    ends: int


class Gaps:
    """Gets the partitions of `places` across what the broker does not give.

    Args:
        kafka: for consumers of their own, which look for what cannot be parsed.
        intake: where gaps are put on record.
        places: the partitions.
        clock: seconds since the epoch.
        alive: called between steps that may take long.
        admits: whether the ledger has room for so many dead letters; where not, reading is held up by then.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        intake: Intake,
        places: Places,
        clock: Callable[[], float],
        alive: Callable[[], None],
        admits: Callable[[Load], bool] = lambda _more: True,
    ) -> None:
        self.crossed = 0
        """How many were put on record."""
        self._kafka = kafka
        self._intake = intake
        self._places = places
        self._clock = clock
        self._alive = alive
        self._admits = admits
        self._lost: dict[TopicPartition, int] = {}
        self._cut: dict[TopicPartition, int | None] = {}

    def lost(self, wanted: Mapping[TopicPartition, int]) -> None:
        """The broker does not have these offsets."""
        self._lost |= wanted

    def cut(self, divergent: Mapping[TopicPartition, Any]) -> None:
        """The logs of these partitions are not those that were read, from an offset on that the broker may know."""
        self._cut |= {tp: None if at is None else int(at.offset) for tp, at in divergent.items()}

    def cross(self, consumer: Any) -> None:
        """Put on record what cannot be had, or was read and is no more; go on where the topic does."""
        if not (self._lost or self._cut or self._places.anew):
            return
        try:
            refresh_metadata(consumer, ASK_MS)  # a topic that was made anew looks like one that was cut off until then
            self._places.look_for_new_topic(consumer)
            concerned = {*self._lost, *self._cut, *self._places.anew}
            begins = consumer.beginning_offsets(list(concerned), timeout_ms=ASK_MS)
            ends = consumer.end_offsets(list(concerned), timeout_ms=ASK_MS)
            for tp in sorted(concerned):
                self._cross(tp, _Log(begins[tp], ends[tp]))
        except (KafkaError, DBAPIError) as error:
            log.warning(GAP_NOT_RECORDED, reason=str(error) or type(error).__name__)
        # What is still in the way is met again from the ledger's offsets.
        self._lost.clear()
        self._cut.clear()
        self._places.anew.clear()
        self._places.rewind(consumer)

    def _cross(self, tp: TopicPartition, now: _Log) -> None:
        expected = self._places.anew.get(tp, self._places.next.get(tp))
        if expected is None:
            return  # it went away; whoever has it now meets the same
        found = self._what_happened(tp, expected, now)
        if found is None:
            log.warning(NO_GAP, position=str(Position(tp.topic, tp.partition, expected)))
            return
        to, reason = found
        position = Position(tp.topic, tp.partition, expected)
        letter = DeadLetter(position, self._clock(), None, None, (), "gap", reason)
        anew = self._places.topic_ids.get(tp.topic) if tp in self._places.anew else None
        try:
            self._intake.jump(partition_of(tp), expected, to, letter, self._clock(), anew)
        except OffsetConflict:
            return  # somebody moved it: if offsets are still missing, the broker says so again
        log.error(GAP, position=str(position), goes_on_at=to, reason=reason)
        self._places.ends.pop(tp, None)
        self.crossed += 1

    def _what_happened(self, tp: TopicPartition, expected: int, now: _Log) -> tuple[int, str] | None:
        """Where to go on, and why there; None if there is no gap."""
        if tp in self._places.anew:
            return now.begins, (
                f"the topic was deleted and made anew, offset {expected} was next in the old one: the new one is read "
                f"from its beginning at {now.begins}; what the old one held beyond is lost: {_TO_DO}"
            )
        if (at := self._cut.get(tp)) is not None:
            to = max(now.begins, min(at, expected))
            return None if to == expected else (to, _was_cut(to, expected))
        wanted = self._lost.get(tp, expected)
        if tp in self._cut or wanted > now.ends:
            return now.begins, (
                f"the log was cut off before offset {wanted}: it ends at {now.ends} now, and nobody knows where it "
                f"became another. It is read again from its beginning at {now.begins}; what was read is kept: {_TO_DO}"
            )
        if wanted < now.begins:
            return now.begins, (
                f"offsets {expected} to {now.begins - 1} are gone, the topic begins at {now.begins}: retention was "
                f"faster than we; the changes in them are lost: raise the topic's retention, {_TO_DO}"
            )
        return None

    def pass_over_corrupt(self, consumer: Any) -> None:
        """Go on behind the records that a broker has and cannot read itself, with a dead letter for each.

        The client does not say where they are, and asks for the same ones in the next poll. So every partition is
        probed by a consumer of its own, and this one does not poll before it stands behind them.

        Raises:
            KafkaError, DBAPIError, OffsetConflict: it does not stand there, and must not be polled again.
        """
        if not self._admits(Load(1, 0)):
            self._places.rewind(consumer)
            return
        ends = consumer.end_offsets(list(self._places.next), timeout_ms=ASK_MS)
        for partition in sorted(tp for tp, offset in self._places.next.items() if offset < ends[tp]):
            self._alive()
            if (reason := why_corrupt(self._kafka, partition, self._places.next[partition])) is not None:
                self._bury(partition, reason)
        for partition, offset in self._places.next.items():
            seek(consumer, partition, offset, None)

    def _bury(self, partition: TopicPartition, reason: str) -> None:
        position = Position(partition.topic, partition.partition, self._places.next[partition])
        log.error(RECORD_UNREADABLE, position=str(position), reason=reason)
        letter = DeadLetter(position, self._clock(), None, None, (), "fetch", reason, timestamp=0)
        self._intake.jump(partition_of(partition), position.offset, position.offset + 1, letter, self._clock())
        self._places.next[partition] += 1


def _was_cut(to: int, expected: int) -> str:
    return (
        f"offsets {to} to {expected - 1} were read and the topic does not have them any more: an unclean election cut "
        f"the log off; what was read is kept, what others had sent behind may be lost: {_TO_DO}"
    )
