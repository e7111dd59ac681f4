"""A crontab line as a trigger, with cron's weekdays: 0 and 7 are Sunday. APScheduler by itself counts from Monday."""

from __future__ import annotations

import re

from apscheduler.triggers.cron import CronTrigger

_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")


def from_crontab(line: str) -> CronTrigger:
    """The trigger of a crontab line of five fields, in UTC.

    Raises:
        ValueError: it is none.
    """
    fields = line.split()
    if len(fields) == 5:
        # A number behind a slash is a step, not a day.
        fields[4] = re.sub(r"(?<![\d/])[0-7](?!\d)", lambda found: _WEEKDAYS[int(found[0])], fields[4])
    return CronTrigger.from_crontab(" ".join(fields), timezone="UTC")
