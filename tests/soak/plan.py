"""When the broker is away in a run: for a twelfth of it once, and for as long as a restart takes now and then."""

from __future__ import annotations

from dataclasses import dataclass

_AWAY_AT, _AWAY_FOR = 0.40, 1 / 12
_RESTARTS_AT = (0.15, 0.65, 0.85)
_RESTARTS_FROM = 600.0
"""A run shorter than this has its one stop and no restarts beside."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The broker stops `at` so many seconds into the run, and is started again after `away` seconds."""

    at: float
    away: float


def stops(seconds: float) -> list[Stop]:
    """The stops of a run of this length, in order."""
    planned = [Stop(_AWAY_AT * seconds, _AWAY_FOR * seconds)]
    if seconds >= _RESTARTS_FROM:
        planned += [Stop(share * seconds, 0.0) for share in _RESTARTS_AT]
    return sorted(planned, key=lambda stop: stop.at)
