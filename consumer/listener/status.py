"""How the listener is, for the threads that decide and tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from consumer.configuration.dead_letters import TOO_MANY
from consumer.listener.assignment import WENT_AWAY, Assignment

_READS = {"listening", "placing", "standing by"}
_ENDS_MS = 1000
_ASK_EVERY = 2.0
_ASK_AFTER_TROUBLE = 10.0


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """How the listener is. Replaced whole, so that other threads may read it at any time."""

    state: str = "connecting"
    why: str | None = None
    """What a state in which nothing can be read has come of, where that is known."""
    held: str | None = None
    """Why nothing is read for now; None where nothing holds it up."""
    trouble: str | None = None
    """Why the ledger does not take changes, where it does not."""
    polled_at: float = 0.0
    polled_elapsed: float | None = None
    """The same moment by `Clock.elapsed`."""
    partitions: int = 0
    lag: int | None = None
    """Records that the topic holds behind what is stored of ours; None where it is not known."""
    last_lag: int | None = None
    """The lag when it was last known."""
    lag_at: float | None = None
    """When that was, seconds since the epoch."""
    caught_up: bool = False
    """Whether all is stored that the partitions held when they were first assigned; so too where there are none."""
    events: int = 0
    ignored: int = 0
    dead: int = 0
    gaps: int = 0
    """How often the topic did not have what came next, since the service was started."""
    notices: tuple[str, ...] = ()
    """What somebody should know of what comes, though nothing is wrong here."""
    afresh: int = 0
    """How often the client was given up and a new one connected."""

    @property
    def unable(self) -> str | None:
        """Why it cannot read what the topic holds; None where it can, or has no part of it to read."""
        if self.state in _READS or self.state == self.held:
            return None
        return f"{self.state}: {self.why}" if self.why else self.state

    @property
    def complete(self) -> bool:
        """Whether a cycle would cover all there is: all is read, or no more is before somebody has acted."""
        return self.caught_up or self.held == TOO_MANY


class LagMeter:
    """How far the assigned partitions are stored, and how far they go, also while nothing is fetched of them.

    A fetch brings how far its partition goes. A paused partition is not fetched, and one whose turn comes late in a
    burst not lately: so the broker is asked, too. Once it does not answer, what it said before is no answer either,
    until it answers again or a fetch brings something new.
    """

    def __init__(self, assignment: Assignment, clock: Callable[[], float]) -> None:
        self._assignment = assignment
        self._clock = clock
        self._stored: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._ask_at = 0.0
        self._fetched: dict[TopicPartition, int | None] = {}
        self._fetched_when_lost: dict[TopicPartition, int | None] | None = None

    @property
    def lost(self) -> bool:
        """Whether the broker has not answered when it was asked last, and has brought nothing since."""
        return self._fetched_when_lost is not None

    def heard(self, consumer: Any) -> dict[str, Any]:
        """Fields of `ListenerStatus`. Call it when all that was polled is stored or refused."""
        assignment = self._assignment
        mine = assignment.next.keys() | assignment.unplaced
        # An unplaced partition is where it was stored last, as nothing of it is stored meanwhile.
        stored = {**self._stored, **assignment.next}
        self._stored = {tp: at for tp, at in stored.items() if tp in mine}
        ends = self._ends_of(consumer, mine)
        known = not self.lost and bool(mine or assignment.idle) and self._stored.keys() == ends.keys() == mine
        return {
            "partitions": len(assignment.next),
            "lag": sum(max(0, ends[tp] - self._stored[tp]) for tp in mine) if known else None,
            "caught_up": (assignment.settled or assignment.idle)
            and all(at >= assignment.ends[tp] for tp, at in assignment.next.items()),
        }

    def _ends_of(self, consumer: Any, mine: set[TopicPartition]) -> dict[TopicPartition, int]:
        if mine and self._clock() >= self._ask_at:
            self._ask(consumer, mine)
        self._fetched = {tp: _highwater(consumer, tp) for tp in mine}
        before = self._fetched_when_lost
        if before is not None and (not mine or any(before.get(tp) != at for tp, at in self._fetched.items())):
            self._fetched_when_lost = None
        told = {tp: (self._ends.get(tp), self._fetched[tp]) for tp in mine}
        return {tp: max(end for end in ends if end is not None) for tp, ends in told.items() if ends != (None, None)}

    def _ask(self, consumer: Any, mine: set[TopicPartition]) -> None:
        try:
            self._ends = consumer.end_offsets(sorted(mine), timeout_ms=_ENDS_MS)
            self._ask_at = self._clock() + _ASK_EVERY
            self._fetched_when_lost = None
        except KafkaError:
            self._fetched_when_lost = {tp: _highwater(consumer, tp) for tp in mine}
            self._ask_at = self._clock() + _ASK_AFTER_TROUBLE


def _highwater(consumer: Any, tp: TopicPartition) -> int | None:
    try:
        highwater: int | None = consumer.highwater(tp)
    except (KafkaError, *WENT_AWAY):
        return None
    return highwater
