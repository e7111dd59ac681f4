"""Time: one clock for people and records, another for everything that waits.

The wall clock may be set at any moment, by a person or by NTP. So waits, timers and ages are measured by a clock that
nobody sets. Records bear wall times; `Ages` converts them to the other clock, each time once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TOO_MUCH_TO_DRIFT = 1.0  # seconds, from one look to the next
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks. The times of one are never compared with those of the other."""

    now: Callable[[], float] = time.time
    """Seconds since the epoch: what is stored, and what people read."""
    elapsed: Callable[[], float] = time.monotonic
    """Seconds of a clock that nobody sets. All processes of a machine share it from one boot to the next."""


class Jumps:
    """Notices that the wall clock was set, or that the machine slept, between two calls."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = clock.now() - clock.elapsed()

    def seen(self) -> float:
        """By how many seconds the wall clock was moved since the last call; 0 where nobody moved the clock."""
        ahead = self._clock.now() - self._clock.elapsed()
        by, self._ahead = ahead - self._ahead, ahead
        return by if abs(by) > _TOO_MUCH_TO_DRIFT else 0.0


@cache
def this_boot() -> str | None:
    """The id of this boot of the machine; None where the machine does not say."""
    try:
        return _BOOT_ID.read_text().strip() or None
    except OSError:
        return None


class Ages:
    """Recorded times, converted to the clock that nobody sets.

    A recorded time is compared with the wall clock once, when the time is first seen, and ages by the other clock from
    then on. So setting the wall clock makes nothing older or younger that was seen before. A future time, from a clock
    that was ahead, counts as now.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[float, float] = {}

    def see(self, recorded: Iterable[float | None]) -> None:
        """Convert the times that are on record now; times that are not among them are forgotten."""
        now, elapsed = self._clock.now(), self._clock.elapsed()
        self._known = {at: self._known.get(at, elapsed - max(0.0, now - at)) for at in {*recorded} if at is not None}

    def moment(self, at: float | None) -> float | None:
        """One of those times, by `Clock.elapsed`."""
        return None if at is None else self._known[at]
