"""Quiet hours: times of the day in which no cycle starts by itself, as `22:00-06:00`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_TIME = r"(\d{1,2}):([0-5]\d)"
_SPAN = re.compile(rf"{_TIME}\s*-\s*{_TIME}")
_DAY = 24 * 60
_BEFORE, _AFTER = 2, 3  # days around now that are looked at: no span is longer than one, and some meet


class Span(NamedTuple):
    """From one moment to another, in seconds since the epoch; the end is no part of it."""

    begin: float
    end: float


def zone_of(name: str) -> ZoneInfo:
    """The time zone of a name, such as `Europe/Stockholm`.

    Raises:
        ValueError: there is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # of a name that is a folder, no name of a file, or not there
        raise ValueError(f"there is no time zone {name!r}; write one as UTC or Europe/Stockholm") from None


def checked(hours: tuple[str, ...]) -> tuple[str, ...]:
    """Quiet hours as they are, where they can be: each from one time of the day to another.

    Raises:
        ValueError: one is not written so, is empty, or nothing is left of the day; the message says which.
    """
    quiet = {minute for text in hours for minute in _minutes(text)}
    if len(quiet) == _DAY:
        raise ValueError(f"{','.join(hours)} leaves no time of the day for a cycle; `retrainer pause` stops all cycles")
    return hours


def spans_around(hours: Iterable[str], zone: str, now: float) -> tuple[Span, ...]:
    """The quiet hours from two days before `now` to three days after, in order; those that meet are one.

    A time that a day does not have, as clocks are put forward, is the moment when they are. Of a time that a day has
    twice, the first counts.
    """
    today = datetime.fromtimestamp(now, zone_of(zone)).date()
    return _spans(tuple(hours), zone, today)


def quiet_until(spans: Iterable[Span], at: float) -> float | None:
    """The end of the quiet hours at a moment; None where there are none then."""
    return next((span.end for span in spans if span.begin <= at < span.end), None)


def longest(hours: Iterable[str]) -> float:
    """Seconds of the longest quiet hours on a day whose clocks are not moved; 0 without any."""
    spans = spans_around(hours, "UTC", 0.0)
    return max((span.end - span.begin for span in spans[1:-1] or spans), default=0.0)


@cache
def _parsed(text: str) -> tuple[int, int]:
    """First minute and length in minutes."""
    found = _SPAN.fullmatch(text)
    if found is None or (begin := _minute(*found.groups()[:2])) >= _DAY or (end := _minute(*found.groups()[2:])) > _DAY:
        raise ValueError(f"{text!r} should be two times of the day, as in 22:00-06:00")
    if begin == end % _DAY:
        raise ValueError(f"{text!r} begins when it ends; write two different times, as in 22:00-06:00")
    return begin, (end - begin) % _DAY


def _minute(hour: str, minute: str) -> int:
    return int(hour) * 60 + int(minute)


def _minutes(text: str) -> Iterator[int]:
    begin, length = _parsed(text)
    return ((begin + more) % _DAY for more in range(length))


def _spans(hours: tuple[str, ...], zone_name: str, today: date) -> tuple[Span, ...]:
    zone = zone_of(zone_name)
    found: list[Span] = []
    days = [today + timedelta(days=days) for days in range(-_BEFORE, _AFTER + 1)]
    for begin, end in sorted(
        (_moment(day, begin, zone), _moment(day, begin + length, zone))
        for day in days
        for begin, length in map(_parsed, hours)
    ):
        if found and begin <= found[-1].end:
            found[-1] = Span(found[-1].begin, max(found[-1].end, end))
        elif begin < end:
            found.append(Span(begin, end))
    return tuple(found)


def _moment(day: date, minutes: int, zone: ZoneInfo) -> float:
    """When clocks of the zone show a time of a day; a time of more than 24 hours is of the next day."""
    later, minutes = divmod(minutes, _DAY)
    wall = datetime.combine(day + timedelta(days=later), time(*divmod(minutes, 60)))
    at = wall.replace(tzinfo=zone).timestamp()
    if datetime.fromtimestamp(at, zone).replace(tzinfo=None) == wall:
        return at
    before, after = int(wall.replace(tzinfo=zone, fold=1).timestamp()), int(at)  # clocks jump over it in between
    offset = datetime.fromtimestamp(before, zone).utcoffset()
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return float(after)
