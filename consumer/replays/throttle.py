"""Reading no faster than was asked for."""

from __future__ import annotations

_LONGEST = 1.0  # seconds of one pause, so that it can be seen that there is progress


class Throttle:
    """Pauses that keep a reader to so many records a second, from its first one on.

    Args:
        rate: records a second; None for no limit.
        now: by a clock that nobody sets.
    """

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate
        self._began_at = now
        self._records = 0

    @property
    def at_once(self) -> int | None:
        """How many records may be taken at once; None where it does not matter."""
        return None if self._rate is None else max(1, int(self._rate * _LONGEST))

    def pause(self, records: int, now: float) -> float:
        """Seconds to wait after taking so many records more."""
        if self._rate is None:
            return 0.0
        self._records += records
        return max(0.0, self._began_at + self._records / self._rate - now)
