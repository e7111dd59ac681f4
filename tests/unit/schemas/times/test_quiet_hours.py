"""Quiet hours by the clocks of their zone, over midnight, and on days whose clocks are moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.policies import TriggerPolicy
from schemas.times.quiet_hours import longest, quiet_until, spans_around

BERLIN = ZoneInfo("Europe/Berlin")
FORWARD, BACK = (2026, 3, 29), (2026, 10, 25)  # 2 becomes 3, 3 becomes 2


def at(*when: int, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime(*when, tzinfo=zone, fold=fold).timestamp()  # type: ignore[misc, arg-type]


def until(hours: str, now: float, zone: str = "Europe/Berlin") -> float | None:
    return quiet_until(spans_around((*hours.split(","),), zone, now), now)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ((2026, 6, 1, 21, 59, 59), None),
        ((2026, 6, 1, 22, 0), (2026, 6, 2, 6, 0)),
        ((2026, 6, 1, 23, 59), (2026, 6, 2, 6, 0)),
        ((2026, 6, 2, 0, 0), (2026, 6, 2, 6, 0)),
        ((2026, 6, 2, 5, 59, 59), (2026, 6, 2, 6, 0)),
        ((2026, 6, 2, 6, 0), None),
        ((2026, 6, 2, 12, 30), (2026, 6, 2, 13, 0)),
        ((2026, 12, 31, 23, 0), (2027, 1, 1, 6, 0)),
    ],
)
def test_quiet_hours_over_midnight_and_at_noon(now: tuple[int, ...], end: tuple[int, ...] | None) -> None:
    assert until("22:00-06:00,12:00-13:00", at(*now)) == (None if end is None else at(*end))


def test_the_zone_counts_and_not_that_of_the_machine() -> None:
    now = datetime(2026, 6, 1, 20, 30, tzinfo=UTC).timestamp()  # 22:30 in Berlin
    assert until("22:00-06:00", now) == at(2026, 6, 2, 6, 0)
    assert until("22:00-06:00", now, "UTC") is None


def test_quiet_hours_that_meet_are_one() -> None:
    assert until("22:00-02:00,02:00-06:00,05:00-07:00", at(2026, 6, 1, 23, 0)) == at(2026, 6, 2, 7, 0)


@pytest.mark.parametrize(("day", "hours"), [(FORWARD, 7), (BACK, 9)])
def test_a_night_in_which_clocks_are_moved_is_as_long_as_it_is(day: tuple[int, int, int], hours: int) -> None:
    begin = at(*day, 6, 0) - hours * 3600
    assert datetime.fromtimestamp(begin, BERLIN).hour == 22
    assert until("22:00-06:00", begin) == at(*day, 6, 0)
    assert until("22:00-06:00", begin - 1) is None


def test_a_time_that_a_day_does_not_have_is_the_moment_when_clocks_are_put_forward() -> None:
    jump = at(*FORWARD, 3, 0)
    assert until("22:00-02:30", at(*FORWARD, 1, 0)) == jump
    assert until("02:30-05:00", jump - 1) is None
    assert until("02:30-05:00", jump) == at(*FORWARD, 5, 0)
    assert until("02:10-02:50", jump) is None  # there are none on that day
    assert until("02:10-02:50", at(2026, 3, 30, 2, 10)) == at(2026, 3, 30, 2, 50)


def test_of_a_time_that_a_day_has_twice_the_first_counts() -> None:
    first, second = at(*BACK, 2, 30), at(*BACK, 2, 30, fold=1)
    assert second - first == 3600
    assert until("22:00-02:30", first - 1) == first
    assert until("22:00-02:30", second - 1) is None
    assert until("02:30-05:00", first) == at(*BACK, 5, 0)


minutes = st.integers(0, 24 * 60 - 1)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])


@given(st.lists(st.tuples(minutes, st.integers(1, 600)), min_size=1, max_size=3), zones, st.integers(0, 400 * 24 * 60))
def test_on_days_without_a_change_of_clocks_a_clock_on_the_wall_tells_the_quiet_hours(
    found: list[tuple[int, int]], zone: str, minute: int
) -> None:
    if sum(length for _, length in found) >= 24 * 60:
        return
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
    wall = now.astimezone(ZoneInfo(zone))
    if len({(wall + timedelta(days=days)).utcoffset() for days in (-2, -1, 0, 1, 2)}) > 1:
        return
    hours = tuple(
        f"{begin // 60:02}:{begin % 60:02}-{(begin + length) % 1440 // 60:02}:{(begin + length) % 60:02}"
        for begin, length in found
    )
    quiet = {(begin + more) % 1440 for begin, length in found for more in range(length)}
    of_day = wall.hour * 60 + wall.minute
    spans = spans_around(hours, zone, now.timestamp())
    end = quiet_until(spans, now.timestamp())
    assert (end is not None) == (of_day in quiet)
    if end is not None:
        left = next(more for more in range(1440) if (of_day + more) % 1440 not in quiet)
        assert end == now.timestamp() + left * 60


@given(st.floats(0, 4e9), zones)
def test_spans_are_in_order_and_apart_whenever_one_looks(now: float, zone: str) -> None:
    spans = spans_around(("22:00-06:00", "02:15-02:45", "12:00-13:00"), zone, now)
    assert all(span.begin < span.end for span in spans)
    assert all(one.end < other.begin for one, other in pairwise(spans))
    assert spans[0].end < now < spans[-1].begin


@pytest.mark.parametrize(
    ("hours", "seconds"), [((), 0), (("22:00-06:00",), 8 * 3600), (("22:00-02:00", "02:00-06:30"), 8.5 * 3600)]
)
def test_the_longest(hours: tuple[str, ...], seconds: float) -> None:
    assert longest(hours) == seconds


@pytest.mark.parametrize(
    ("hours", "what"),
    [
        ("22-06", "should be two times of the day, as in 22:00-06:00"),
        ("25:00-06:00", "should be two times of the day"),
        ("22:60-06:00", "should be two times of the day"),
        ("22:00-24:01", "should be two times of the day"),
        ("22:00-22:00", "begins when it ends"),
        ("00:00-24:00", "begins when it ends"),
        ("00:00-12:00,12:00-24:00", "leaves no time of the day"),
    ],
)
def test_what_cannot_be_quiet_hours_is_refused_with_its_reason(hours: str, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        TriggerPolicy(quiet_hours=hours)


def test_a_policy_reads_them_as_people_write_them() -> None:
    policy = TriggerPolicy(quiet_hours="22:00-06:00, 12:00-13:00")
    assert policy.quiet_hours == ("22:00-06:00", "12:00-13:00")
    assert TriggerPolicy.model_validate_json(policy.model_dump_json()) == policy


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "/etc/passwd", "../UTC", "Europe"])
def test_a_zone_that_there_is_not_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="there is no time zone"):
        TriggerPolicy(quiet_hours_zone=zone)
