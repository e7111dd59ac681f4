"""The time of a record: milliseconds since 1970, as Kafka has them, or a time that a producer wrote in another unit.

A time in seconds that is taken for milliseconds is a day in January 1970, and every age is too high; a time in
microseconds is in the far future. The four units are a factor of 1,000 apart. So a time that is impossible in
milliseconds, and lies in our years when it is read in another unit, is in that other unit.
"""

from __future__ import annotations

from typing import Literal

Unit = Literal["seconds", "microseconds", "nanoseconds"]

_SINCE, _UNTIL = 1_262_304_000, 4_102_444_800  # the years 2010 to 2099, in seconds
_A_SECOND: tuple[tuple[Unit, int], ...] = (("seconds", 1), ("microseconds", 10**6), ("nanoseconds", 10**9))
"""How many of a unit are a second."""

FIRST, LAST = _SINCE * 1000, _UNTIL * 1000
"""Between these a time is in milliseconds."""

_LAST_TIMESTAMP = 253_402_300_799_999  # the end of the year 9999, where calendars end


def unit_of(timestamp: int) -> Unit | None:
    """The unit of a record's time, where that is not milliseconds; None where it may be milliseconds."""
    return next((unit for unit, second in _A_SECOND if _SINCE * second <= timestamp < _UNTIL * second), None)


def seconds_of(timestamp: int) -> float | None:
    """The seconds since 1970 that a record's time means, in whatever unit; None where the time is impossible."""
    if FIRST <= timestamp < LAST:
        return timestamp / 1000
    for unit, second in _A_SECOND:
        if unit == unit_of(timestamp):
            return timestamp / second
    return timestamp / 1000 if 0 < timestamp <= _LAST_TIMESTAMP else None
