"""Reading no faster than was asked for."""

from __future__ import annotations

import math

_LONGEST = 1.0  # seconds whose records are taken at once: short, so that progress is seen


class Throttle:
    """Pauses that keep a reader to so many records a second, with no credit for time in which none came.

    Args:
        rate: records a second; None or infinity for no limit.
        now: by a clock that nobody sets.
    """

    def __init__(self, rate: float | None, now: float) -> None:
        self._rate = rate if rate is not None and math.isfinite(rate) else None
        self._free_at = now

    @property
    def at_once(self) -> int | None:
        """How many records may be taken at once; None for any number."""
        return None if self._rate is None else max(1, int(self._rate * _LONGEST))

    def pause(self, records: int, now: float) -> float:
        """Seconds to wait after so many more records."""
        if self._rate is None:
            return 0.0
        self._free_at = max(self._free_at, now - _LONGEST) + records / self._rate
        return max(0.0, self._free_at - now)
