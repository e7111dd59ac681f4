"""A crontab line of five fields, read as cron's manual (crontab(5)) says, in UTC.

Where days of the month and days of the week are both restricted, either is enough; a field that begins with `*` is not
restricted, even with a step. 0 and 7 are Sunday. Months and weekdays may be named. A line that no day ever meets is
refused, as is what cron does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

_NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?P<low>\*|[0-9]+|[a-z]+)(-(?P<high>[0-9]+|[a-z]+))?(/(?P<step>[0-9]+))?", re.IGNORECASE)
_CALENDAR = timedelta(days=146_097)  # 400 years, after which weekdays and dates repeat


class _Field(NamedTuple):
    """What a field counts: its name, the least and the most that it takes, and words for these from the least on."""

    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class Crontab:
    """The minutes that a line names. Times are seconds since the epoch."""

    times: tuple[time, ...]
    """Of each day that is met, in order."""
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    either: bool
    """Whether day of the month or day of the week is enough."""

    def after(self, moment: float) -> float:
        """The first time later than `moment`."""
        return next(at for day in self._from(_day_of(moment), 1) for at in _on(day, self.times) if at > moment)

    def latest(self, moment: float) -> float:
        """The last time that is not later than `moment`."""
        times = self.times[::-1]
        return next(at for day in self._from(_day_of(moment), -1) for at in _on(day, times) if at <= moment)

    def ever(self) -> bool:
        """Whether any day is met."""
        return next(self._from(date(2000, 1, 1), 1), None) is not None

    def _from(self, day: date, step: int) -> Iterator[date]:
        """Days that are met, of the 400 years after `day` or before it."""
        for number in range(_CALENDAR.days + 1):
            if self._meets(found := day + timedelta(days=step * number)):
                yield found

    def _meets(self, day: date) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (in_month or in_week if self.either else in_month and in_week)


def from_crontab(line: str) -> Crontab:
    """The line, read.

    Raises:
        ValueError: it is no crontab line, or names no time that ever comes.
    """
    fields = _NICKNAMES.get(line.strip().lower(), line).split()
    if line.strip().startswith("@") and len(fields) != len(_FIELDS):
        raise ValueError(f"{line.strip()} is none of {', '.join(_NICKNAMES)}")
    if len(fields) != len(_FIELDS):
        raise ValueError(f"a crontab line has five fields, not {len(fields)}: {', '.join(one.name for one in _FIELDS)}")
    minutes, hours, days, months, weekdays = (_values(*pair) for pair in zip(_FIELDS, fields, strict=True))
    read = Crontab(
        times=tuple(time(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)),
        days=frozenset(days),
        months=frozenset(months),
        weekdays=frozenset(day % 7 for day in weekdays),
        either=not (fields[2].startswith("*") or fields[4].startswith("*")),
    )
    if not read.ever():
        raise ValueError("names a date that never comes")
    return read


def _values(field: _Field, text: str) -> set[int]:
    return {value for part in text.split(",") for value in _range(field, part)}


def _range(field: _Field, part: str) -> range:
    """What one part between commas names: `*`, a value or a range, each with a step or without."""
    found = _PART.fullmatch(part)
    if found is None or (found["low"] == "*" and found["high"]):
        raise ValueError(f"{part!r} is no {field.name}")
    last = 6 if field.words == _WEEKDAYS else field.most  # `*` and `N/2` name Sunday once
    if found["low"] == "*":
        low, high = field.least, last
    else:
        low = _value(field, found["low"], part)
        high = _value(field, found["high"], part) if found["high"] else max(low, last) if found["step"] else low
    if low > high:
        raise ValueError(f"{part!r} ends before it begins; name two ranges, or 7 for Sunday")
    if (step := int(found["step"] or 1)) == 0:
        raise ValueError(f"{part!r} has a step of nothing")
    return range(low, high + 1, step)


def _value(field: _Field, text: str, part: str) -> int:
    if text.lower() in field.words:
        return field.least + field.words.index(text.lower())
    if not text.isdecimal() or not field.least <= int(text) <= field.most:
        raise ValueError(f"{part!r} is no {field.name}: that is {field.least} to {field.most}")
    return int(text)


def _day_of(moment: float) -> date:
    return datetime.fromtimestamp(moment, UTC).date()


def _on(day: date, times: Iterable[time]) -> Iterator[float]:
    return (datetime.combine(day, at, UTC).timestamp() for at in times)
