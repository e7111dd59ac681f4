"""A crontab line as a trigger, with cron's weekdays: 0 and 7 are Sunday. APScheduler by itself counts from Monday."""

from __future__ import annotations

from apscheduler.triggers.cron import CronTrigger

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def from_crontab(line: str) -> CronTrigger:
    """The trigger of a crontab line of five fields, in UTC.

    Raises:
        ValueError: it is none.
    """
    fields = line.split()
    if len(fields) == 5:
        fields[4] = _weekdays(fields[4])
    return CronTrigger.from_crontab(" ".join(fields), timezone="UTC")


def _weekdays(field: str) -> str:
    """The field with every day by its name, one by one, so that it does not matter where a week begins."""
    if field == "*":
        return field
    days: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = ("0", "-", "6") if span == "*" else span.partition("-")
        begin = _day(first)
        end = _day(last) if dash else 6 if step else begin
        days |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8, int(step or 1))}
    return ",".join(_WEEKDAYS[day] for day in sorted(days))


def _day(name: str) -> int:
    if name.lower() in _WEEKDAYS:
        return _WEEKDAYS.index(name.lower())
    if name in set("01234567"):
        return int(name)
    raise ValueError(f"{name!r} is no day of the week")
