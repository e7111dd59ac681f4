"""How many records of the assigned partitions are not stored yet."""

from __future__ import annotations

from collections.abc import Callable, Set
from typing import NamedTuple

from kafka.errors import KafkaError

from consumer.kafka.ports import GroupConsumer
from consumer.listener.assignment import Assignment
from consumer.positions import Partition

_ENDS_MS = 1000
_ASK_EVERY = 2.0
_ASK_AFTER_TROUBLE = 10.0


class Lag(NamedTuple):
    """What is stored of the assigned partitions, against what they hold."""

    partitions: int
    """How many are placed."""
    records: int | None
    """Records that are not stored yet; None where their number is not known."""
    caught_up: bool
    """See `ListenerStatus.caught_up`."""


class LagMeter:
    """Measures the lag, also while nothing is fetched.

    Each fetch says where its partition ends. A paused partition is not fetched, and in a burst some partitions wait
    long for their fetch: so the meter asks the broker, too. While the broker does not answer, its earlier answer counts
    for nothing, until it answers again or a fetch brings something new.

    Args:
        assignment: the partitions, and how far they are stored.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(self, assignment: Assignment, clock: Callable[[], float]) -> None:
        self._assignment = assignment
        self._clock = clock
        self._stored: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._ask_at = 0.0
        self._fetched: dict[Partition, int | None] = {}
        self._fetched_when_lost: dict[Partition, int | None] | None = None

    @property
    def broker_away(self) -> bool:
        """Whether the broker did not answer the last question, and no fetch has brought anything new since."""
        return self._fetched_when_lost is not None

    def measure(self, consumer: GroupConsumer) -> Lag:
        """The lag now. What is gathered and not stored counts as lag."""
        assignment = self._assignment
        mine = assignment.placed.keys() | assignment.unplaced
        # Nothing of an unplaced partition is stored meanwhile: it is where it was.
        stored = {**self._stored, **assignment.placed}
        self._stored = {partition: at for partition, at in stored.items() if partition in mine}
        ends = self._ends_of(consumer, mine)
        known = not self.broker_away and bool(mine or assignment.idle) and self._stored.keys() == ends.keys() == mine
        records = sum(max(0, ends[partition] - self._stored[partition]) for partition in mine) if known else None
        return Lag(len(assignment.placed), records, assignment.caught_up)

    def _ends_of(self, consumer: GroupConsumer, mine: Set[Partition]) -> dict[Partition, int]:
        if mine and self._clock() >= self._ask_at:
            self._ask(consumer, mine)
        self._fetched = {partition: consumer.highwater(partition) for partition in mine}
        before = self._fetched_when_lost
        if before is not None and (not mine or any(before.get(one) != at for one, at in self._fetched.items())):
            self._fetched_when_lost = None
        known_ends = {partition: (self._ends.get(partition), self._fetched[partition]) for partition in mine}
        return {
            one: max(end for end in ends if end is not None) for one, ends in known_ends.items() if ends != (None, None)
        }

    def _ask(self, consumer: GroupConsumer, mine: Set[Partition]) -> None:
        try:
            self._ends = consumer.end_offsets(sorted(mine), timeout_ms=_ENDS_MS)
            self._ask_at = self._clock() + _ASK_EVERY
            self._fetched_when_lost = None
        except KafkaError:
            self._fetched_when_lost = {partition: consumer.highwater(partition) for partition in mine}
            self._ask_at = self._clock() + _ASK_AFTER_TROUBLE
