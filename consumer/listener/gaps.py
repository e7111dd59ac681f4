"""Records that cannot be had. Each gap is put on record, and reading goes on after it: never a silent jump."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import structlog
from kafka.errors import KafkaError
from sqlalchemy.exc import DBAPIError

from consumer.configuration.kafka import KafkaSettings
from consumer.dead_letters.letter import DeadLetter, Load
from consumer.errors import OffsetConflict
from consumer.kafka.corrupt import why_corrupt
from consumer.kafka.ports import GroupConsumer
from consumer.ledger.intake import Intake
from consumer.listener.assignment import ASK_MS, Assignment
from consumer.positions import Partition, Position
from schemas.log_events.listener import GAP, GAP_NOT_RECORDED, NO_GAP, RECORD_UNREADABLE

log = structlog.get_logger()

_TO_DO = "then retrain in full: retrainer train --full"


class _Log(NamedTuple):
    """Where a partition begins and ends now."""

    begins: int
    ends: int


class Gaps:
    """Gets the assigned partitions across what the broker does not give.

    Args:
        kafka: for clients that look for what cannot be parsed.
        intake: where gaps are put on record.
        assignment: the partitions.
        clock: seconds since the epoch.
        alive: called between steps that may take long.
        admits: whether the ledger has room for so many dead letters; where it has none, `admits` holds up reading.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        intake: Intake,
        assignment: Assignment,
        clock: Callable[[], float],
        alive: Callable[[], None],
        admits: Callable[[Load], bool] = lambda _more: True,
    ) -> None:
        self.recorded = 0
        """How many gaps were put on record."""
        self._kafka = kafka
        self._intake = intake
        self._assignment = assignment
        self._clock = clock
        self._alive = alive
        self._admits = admits
        self._lost: dict[Partition, int] = {}
        self._cut: dict[Partition, int | None] = {}

    def lost(self, wanted: Mapping[tuple[str, int], int]) -> None:
        """The broker does not have these offsets."""
        self._lost |= {Partition(*partition): offset for partition, offset in wanted.items()}

    def cut(self, divergent: Mapping[tuple[str, int], Any]) -> None:
        """The logs of these partitions are not those that were read.

        Args:
            divergent: from which offset on, with `offset`; None where the broker does not know.
        """
        self._cut |= {Partition(*one): None if at is None else int(at.offset) for one, at in divergent.items()}

    def record_gaps(self, consumer: GroupConsumer) -> None:
        """Put on record what cannot be had, or was read and is no more; go on where the topic does."""
        if not (self._lost or self._cut or self._assignment.recreated):
            return
        try:
            consumer.refresh_metadata(ASK_MS)  # until then a recreated topic looks like one that was cut off
            self._assignment.look_for_recreated_topics(consumer)
            concerned = {*self._lost, *self._cut, *self._assignment.recreated}
            begins = consumer.beginning_offsets(concerned, timeout_ms=ASK_MS)
            ends = consumer.end_offsets(concerned, timeout_ms=ASK_MS)
            for partition in sorted(concerned):
                self._record(partition, _Log(begins[partition], ends[partition]))
        except (KafkaError, DBAPIError) as error:
            log.warning(GAP_NOT_RECORDED, reason=str(error) or type(error).__name__)
        # What is still in the way is met again from the ledger's offsets.
        self._lost.clear()
        self._cut.clear()
        self._assignment.rewind(consumer)

    def pass_over_corrupt(self, consumer: GroupConsumer) -> None:
        """Go on after the records that a broker has and cannot read itself, with a dead letter for each.

        The client does not say where they are, and asks for the same ones in the next poll. So a client of its own
        probes each partition, and this one does not poll before it stands after them.

        Raises:
            KafkaError, DBAPIError, OffsetConflict, NotAssigned: the client does not stand there, and must not be
                polled again.
        """
        if not self._admits(Load(1, 0)):
            self._assignment.rewind(consumer)
            return
        placed = self._assignment.placed
        ends = consumer.end_offsets(list(placed), timeout_ms=ASK_MS)
        for partition in sorted(one for one, offset in placed.items() if offset < ends[one]):
            self._alive()
            if (reason := why_corrupt(self._kafka, partition, placed[partition])) is not None:
                self._bury(partition, reason)
        for partition, offset in placed.items():
            consumer.seek(partition, offset)

    def _record(self, partition: Partition, now: _Log) -> None:
        recreated = self._assignment.recreated
        expected = recreated.get(partition, self._assignment.placed.get(partition))
        if expected is None:
            return  # it went away; the next owner meets the same
        found = self._what_happened(partition, expected, now)
        if found is None:
            log.warning(NO_GAP, position=str(Position(*partition, expected)))
            return
        to, reason = found
        position = Position(*partition, expected)
        letter = DeadLetter(position, self._clock(), None, None, (), "gap", reason)
        topic_id = self._assignment.topic_id(partition.topic) if partition in recreated else None
        try:
            self._intake.jump(partition, expected, to, letter, self._clock(), topic_id)
        except OffsetConflict:
            return  # somebody moved it: if offsets are still missing, the broker says so again
        log.error(GAP, position=str(position), goes_on_at=to, reason=reason)
        self._assignment.gap_recorded(partition)
        self.recorded += 1

    def _what_happened(self, partition: Partition, expected: int, now: _Log) -> tuple[int, str] | None:
        """Where to go on, and why there; None if there is no gap."""
        if partition in self._assignment.recreated:
            return now.begins, (
                f"the topic was deleted and recreated, offset {expected} was next in the old one: the new one is read "
                f"from its beginning at {now.begins}; later records of the old one are lost: {_TO_DO}"
            )
        if (at := self._cut.get(partition)) is not None:
            to = max(now.begins, min(at, expected))
            return None if to == expected else (to, _was_cut(to, expected))
        wanted = self._lost.get(partition, expected)
        if partition in self._cut or wanted > now.ends:
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

    def _bury(self, partition: Partition, reason: str) -> None:
        position = Position(*partition, self._assignment.placed[partition])
        following = position.offset + 1
        log.error(RECORD_UNREADABLE, position=str(position), reason=reason)
        letter = DeadLetter(position, self._clock(), None, None, (), "fetch", reason, timestamp=0)
        self._intake.jump(partition, position.offset, following, letter, self._clock())
        self._assignment.stored_up_to(partition, following)


def _was_cut(to: int, expected: int) -> str:
    return (
        f"offsets {to} to {expected - 1} were read and the topic does not have them any more: an unclean election cut "
        f"the log off; what was read is kept, what others had sent after it may be lost: {_TO_DO}"
    )
