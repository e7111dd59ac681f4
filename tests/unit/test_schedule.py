"""The schedule ticks when its crontab line says so, late ticks included, and does nothing else."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue

import pytest

from consumer.cycles.crontab import from_crontab
from consumer.cycles.schedule import Schedule
from consumer.settings import ScheduleSettings
from tests.waiting import wait_until


def test_a_due_tick_calls_once_even_when_it_is_late() -> None:
    ticked: SimpleQueue[float] = SimpleQueue()
    schedule = Schedule(ScheduleSettings(full_retrain="0 3 * * 0"), ticked.put)
    schedule.start()
    try:
        (job,) = schedule._scheduler.get_jobs()
        upcoming = job.next_run_time
        job.modify(next_run_time=datetime(2026, 1, 4, 3, tzinfo=UTC))  # months ago: many ticks missed
        tick = ticked.get(timeout=10)
        assert from_crontab("0 3 * * 0").get_next_fire_time(None, datetime.fromtimestamp(tick, UTC)).timestamp() == tick
        assert time.time() - tick < 7 * 86_400
        wait_until(
            lambda: schedule._scheduler.get_jobs()[0].next_run_time == upcoming, 10, "the next tick to be planned"
        )
        assert ticked.empty()
    finally:
        schedule.stop()


def test_without_a_line_it_never_ticks() -> None:
    schedule = Schedule(ScheduleSettings(), lambda _tick: None)
    schedule.start()
    assert schedule._scheduler.get_jobs() == []
    schedule.stop()
    schedule.stop()


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 3 * * 0", {"Sunday"}),
        ("0 3 * * 7", {"Sunday"}),
        ("0 3 * * 1-5", {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}),
        ("0 3 * * 6,0", {"Saturday", "Sunday"}),
        ("0 3 * * wed", {"Wednesday"}),
        ("0 3 * * sun-tue", {"Sunday", "Monday", "Tuesday"}),
        ("0 3 * * fri-0", {"Friday", "Saturday", "Sunday"}),
        ("0 3 * * */2", {"Sunday", "Tuesday", "Thursday", "Saturday"}),
        ("0 3 * * 1/3", {"Monday", "Thursday"}),
    ],
)
def test_weekdays_are_counted_as_cron_counts_them(line: str, days: set[str]) -> None:
    trigger = from_crontab(line)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    met = set()
    for _ in range(7):
        fired = trigger.get_next_fire_time(None, now)
        assert fired.hour == 3
        met.add(fired.strftime("%A"))
        now = fired + timedelta(minutes=1)
    assert met == days


@pytest.mark.parametrize(
    "line", ["soon", "0 3 * *", "61 3 * * 0", "0 3 * * 9", "0 3 * * mon-", "0 3 * * 1/x", "0 3 * * x"]
)
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        from_crontab(line)
