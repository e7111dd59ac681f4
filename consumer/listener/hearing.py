"""How the listener is, for the threads that decide and tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from consumer.dead_letters.settings import TOO_MANY
from consumer.listener.places import WENT_AWAY, Places, position

_POSITION_MS = 100


@dataclass(frozen=True, slots=True)
class Hearing:
    """How the listener is. Replaced whole, so that other threads may read it at any time."""

    state: str = "connecting"
    held: str | None = None
    """Why nothing is read for now; None where nothing holds it up."""
    polled_at: float = 0.0
    partitions: int = 0
    lag: int | None = None
    """Records that the topic holds behind ours; None where it is not known."""
    caught_up: bool = False
    """Whether all is read that the partitions held when they were first assigned; so too where there are none."""
    events: int = 0
    ignored: int = 0
    dead: int = 0
    gaps: int = 0
    """How often the topic did not have what came next, since the service was started."""
    afresh: int = 0
    """How often the client was given up and a new one connected."""

    @property
    def complete(self) -> bool:
        """Whether a cycle would cover all there is: all is read, or no more is before somebody has acted."""
        return self.caught_up or self.held == TOO_MANY


def heard(consumer: Any, places: Places) -> dict[str, Any]:
    """How far the placed partitions are read: fields of `Hearing`.

    Raises:
        LogTruncationError: a log is not the one that was read.
    """
    positions = {tp: position(consumer, tp, _POSITION_MS) for tp in places.next}
    highwater = {tp: _highwater(consumer, tp) for tp in places.next}
    known = all(at is not None for at in (*positions.values(), *highwater.values()))
    listening = places.settled or places.idle
    behind = (max(0, (highwater[tp] or 0) - (positions[tp] or 0)) for tp in places.next)
    lag = sum(behind) if listening and known else None
    return {
        "partitions": len(places.next),
        "lag": lag,
        "caught_up": listening and all((at or 0) >= places.ends[tp] for tp, at in positions.items()),
    }


def _highwater(consumer: Any, tp: TopicPartition) -> int | None:
    try:
        highwater: int | None = consumer.highwater(tp)
    except (KafkaError, *WENT_AWAY):
        return None
    return highwater
