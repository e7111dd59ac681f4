"""How the listener is, for the threads that decide and tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from consumer.listener.places import Places

_POSITION_MS = 100


@dataclass(frozen=True, slots=True)
class Hearing:
    """How the listener is. Replaced whole, so that other threads may read it at any time."""

    state: str = "connecting"
    polled_at: float = 0.0
    partitions: int = 0
    lag: int | None = None
    """Records that the topic holds behind ours; None where it is not known."""
    caught_up: bool = False
    """Whether all is read that the partitions held when they were first assigned; so too where there are none."""
    events: int = 0
    ignored: int = 0
    dead: int = 0


def heard(consumer: Any, places: Places) -> dict[str, Any]:
    """How far the placed partitions are read: fields of `Hearing`."""
    positions = {tp: _position(consumer, tp) for tp in places.next}
    highwater = {tp: consumer.highwater(tp) for tp in places.next}
    known = all(at is not None for at in (*positions.values(), *highwater.values()))
    listening = places.settled or places.idle
    lag = sum(max(0, highwater[tp] - (positions[tp] or 0)) for tp in places.next) if listening and known else None
    return {
        "partitions": len(places.next),
        "lag": lag,
        "caught_up": listening and all((at or 0) >= places.ends[tp] for tp, at in positions.items()),
    }


def _position(consumer: Any, tp: TopicPartition) -> int | None:
    """Where the next fetch begins, behind any transaction markers; None while the client is not sure of it itself.

    After a broker came back the client first has the position validated, which asks the broker and can fail.
    """
    try:
        position: int = consumer.position(tp, timeout_ms=_POSITION_MS)
    except (KafkaError, AssertionError):
        return None
    return position
