"""The schedule asks in time, makes up what was missed, once, and never asks twice for the same tick."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from apscheduler.schedulers import base as scheduling
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from structlog.testing import capture_logs

from consumer.cycles.schedule import Schedule
from consumer.database.tables import retrain_requests
from consumer.ledger.ledger import Ledger, open_ledger
from schemas.cycle import CycleKind
from schemas.times.crontab import Crontab, from_crontab
from tests.waiting import wait_until

DAILY = "0 3 * * *"
DAY = 86_400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def requests(ledger: Ledger) -> int:
    """Open requests of the schedule."""
    with ledger.engine.connect() as connection:
        found = select(func.count()).where(retrain_requests.c.by == "schedule", retrain_requests.c.cycle_id.is_(None))
        return connection.scalar(found) or 0


def started(ledger: Ledger, line: str | None, now: float) -> Schedule:
    """A service starts."""
    schedule = Schedule(line, ledger.retrain_requests, lambda: None)
    schedule.tick(now)
    return schedule


def turn(schedule: Schedule, now: float) -> None:
    """APScheduler has rung, and the service turns."""
    schedule.look_again()
    schedule.tick(now)


def test_a_first_start_makes_up_nothing(ledger: Ledger) -> None:
    started(ledger, DAILY, at("2026-01-05T12:00"))
    assert requests(ledger) == 0


def test_a_tick_asks_once_and_in_time(ledger: Ledger) -> None:
    schedule = started(ledger, DAILY, at("2026-01-05T02:59:59"))
    with capture_logs() as logged:
        for second in range(5):
            turn(schedule, at("2026-01-05T03:00") + second)
    assert requests(ledger) == 1
    assert logged == []
    assert ledger.retrain_requests.open("schedule") is CycleKind.FULL


def test_what_was_missed_is_made_up_once_and_said(ledger: Ledger) -> None:
    started(ledger, DAILY, at("2026-01-05T12:00"))
    with capture_logs() as logged:
        again = started(ledger, DAILY, at("2026-01-09T12:00"))  # four ticks later
        turn(again, at("2026-01-09T12:01"))
    assert requests(ledger) == 1
    (line,) = logged
    assert (line["log_level"], line["due"]) == ("warning", "2026-01-09T03:00:00+00:00")
    with capture_logs() as logged:
        started(ledger, DAILY, at("2026-01-09T12:05"))
    assert (requests(ledger), logged) == (1, [])


def test_a_new_line_makes_up_nothing(ledger: Ledger) -> None:
    started(ledger, "0 3 * * 0", at("2026-01-05T12:00"))
    started(ledger, DAILY, at("2026-01-07T12:00"))
    assert requests(ledger) == 0
    started(ledger, None, at("2026-01-07T13:00"))
    started(ledger, DAILY, at("2026-01-09T12:00"))  # for two days there was no schedule
    assert requests(ledger) == 0


def test_of_several_instances_one_asks(ledger: Ledger) -> None:
    both = [started(ledger, DAILY, at("2026-01-05T12:00")) for _ in range(2)]
    for schedule in both:
        turn(schedule, at("2026-01-06T03:00:01"))
    assert requests(ledger) == 1
    started(ledger, DAILY, at("2026-01-06T03:10"))  # a third one
    assert requests(ledger) == 1


def test_a_clock_that_was_ahead_does_not_silence_the_schedule(ledger: Ledger) -> None:
    started(ledger, DAILY, at("2036-01-05T12:00"))
    schedule = started(ledger, DAILY, at("2026-01-05T12:00"))
    turn(schedule, at("2026-01-06T03:00:01"))
    assert requests(ledger) == 1


def test_a_clock_that_is_set_forward_asks_at_once_for_what_it_leaps_over(ledger: Ledger) -> None:
    schedule = started(ledger, DAILY, at("2026-01-05T12:00"))
    turn(schedule, at("2026-01-06T03:00"))
    assert requests(ledger) == 1


def test_a_clock_that_is_set_back_asks_for_no_tick_twice(ledger: Ledger) -> None:
    schedule = started(ledger, DAILY, at("2026-01-05T12:00"))
    for now in ("2026-01-06T03:00:01", "2026-01-06T00:30", "2026-01-06T03:00:02"):
        turn(schedule, at(now))
    assert requests(ledger) == 1


def test_it_is_woken_when_a_time_of_the_line_comes_and_asks_then(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Crontab, "after", lambda _crontab, moment: moment + 0.05)  # which minutes it names, others test
    woken = threading.Event()
    schedule = Schedule(DAILY, ledger.retrain_requests, woken.set)
    schedule.tick(at("2026-01-05T12:00"))
    schedule.tick(at("2026-01-06T03:00"))
    assert requests(ledger) == 0  # nobody has rung
    schedule.start()
    try:
        wait_until(woken.is_set, 5, "a time of the line wakes the service")
        schedule.tick(at("2026-01-06T03:00"))
        assert requests(ledger) == 1
    finally:
        schedule.stop()


def test_a_clock_that_was_set_is_looked_at_afresh_by_what_rings(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Set back, it does not wait for the time that was next before; set forward, it counts no tick one by one."""
    now = at("2029-01-05T12:00")
    monkeypatch.setattr(scheduling, "datetime", SimpleNamespace(now=lambda zone: datetime.fromtimestamp(now, zone)))
    woken = threading.Event()
    schedule = Schedule("* * * * *", ledger.retrain_requests, woken.set)
    schedule.start()

    def rings_next(when: str) -> None:
        (job,) = schedule._scheduler.get_jobs()
        assert job.next_run_time == datetime.fromisoformat(when).replace(tzinfo=UTC)

    try:
        rings_next("2029-01-05T12:01")
        now = at("2026-01-05T12:00")
        schedule.look_again()
        rings_next("2026-01-05T12:01")
        now = at("2056-01-05T12:00")  # fifteen million ticks later
        schedule._scheduler.wakeup()
        wait_until(woken.is_set, 5, "it rings for what has come due")
        rings_next("2056-01-05T12:01")
    finally:
        schedule.stop()


def test_what_cannot_be_asked_is_asked_by_the_next_turn(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = started(ledger, DAILY, at("2026-01-05T12:00"))
    with monkeypatch.context() as away:
        away.setattr(type(ledger.retrain_requests), "ask_by_schedule", _no_ledger)
        with pytest.raises(OSError, match="away"):
            turn(schedule, at("2026-01-06T03:00"))
    schedule.tick(at("2026-01-06T03:00:05"))
    assert requests(ledger) == 1


def _no_ledger(*_: object) -> bool:
    raise OSError("the ledger is away")


def test_without_a_line_nothing_is_asked_and_nothing_written(ledger: Ledger) -> None:
    turn(started(ledger, None, at("2026-01-05T12:00")), at("2027-01-05T12:00"))
    with ledger.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(retrain_requests)) == 0


@pytest.mark.parametrize("line", [DAILY, "*/20 * * * *", "@weekly"])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_each_time_a_service_runs_it_asks_for_the_latest_tick_since_it_was_last_watched(
    line: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever starts, stops and turns there are: each tick at most once, and the last one before any turn is heard."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.db'}"
    crontab, now = from_crontab(line), at("2026-01-05T12:00")
    first = now
    ledger = open_ledger(url)
    schedule = started(ledger, line, now)
    for restarts, pause in data.draw(st.lists(st.tuples(st.booleans(), st.floats(0.5, 3 * DAY)), max_size=12)):
        now += pause
        if restarts:
            schedule = started(ledger, line, now)
        turn(schedule, now)
        with ledger.engine.connect() as connection:
            heard = connection.scalars(select(retrain_requests.c.at).where(retrain_requests.c.cycle_id.is_(None))).all()
        assert len(heard) == len(set(heard))
        assert all(crontab.latest(tick) == tick for tick in heard)
        due = crontab.latest(now)
        assert (due in heard) == (due > first)
    ledger.close()
