"""When the broker is away in a run: twice for a twelfth of it, and for as long as a restart takes now and then.

What waited is read in larger batches than a run has otherwise, and Python keeps the room that they took. So the first
absence belongs to warming up; after the second, nothing may be larger than it was.
"""

from __future__ import annotations

from dataclasses import dataclass

_AWAY_AT, _AWAY_FOR = (0.08, 0.60), 1 / 12
_RESTARTS_AT = (0.30, 0.45, 0.85)
_LONG = 600.0
"""A run shorter than this has its one stop, and no restarts beside."""
_ONCE_AT = 0.40


@dataclass(frozen=True, slots=True)
class Stop:
    """The broker stops `at` so many seconds into the run, and is started again after `away` seconds."""

    at: float
    away: float


def stops(seconds: float) -> list[Stop]:
    """The stops of a run of this length, in order."""
    if seconds < _LONG:
        return [Stop(_ONCE_AT * seconds, _AWAY_FOR * seconds)]
    away = [Stop(share * seconds, _AWAY_FOR * seconds) for share in _AWAY_AT]
    restarts = [Stop(share * seconds, 0.0) for share in _RESTARTS_AT]
    return sorted(away + restarts, key=lambda stop: stop.at)
