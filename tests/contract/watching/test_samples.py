"""Samples on both engines: one a minute, read as they are or fewer for a page, and the share of minutes they tell."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from consumer.database.tables import samples
from consumer.ledger.ledger import Ledger
from consumer.ledger.watching.kept import Kept
from consumer.ledger.watching.samples import KEPT_FOR
from schemas.watching.samples import Sample

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
BEGIN = 20_000 * DAY
"""A midnight, so that minutes of the tests are minutes of the clock."""


def sample(at: float, **figures: Any) -> Sample:
    plain: dict[str, Any] = {"lag": 0, "pending_users": 0, "pending_labels": 0, "oldest_pending_s": None}
    plain |= {"champion": 1, "training": False, "consumer_bytes": 10, "trainer_bytes": None, "events": 5}
    return Sample(at=at, **(plain | figures))


def fill(ledger: Ledger, minutes: range, **figures: Any) -> None:
    for minute in minutes:
        ledger.samples.write(sample(BEGIN + minute * MINUTE, **figures))


def test_a_sample_is_read_as_it_was_written(ledger: Ledger) -> None:
    written = sample(BEGIN + 7.5, lag=None, oldest_pending_s=3.25, training=True, trainer_bytes=2**33, champion=None)
    assert ledger.samples.last(BEGIN + HOUR) is None
    assert ledger.samples.write(written)
    assert ledger.samples.read(BEGIN, BEGIN + MINUTE) == [written]
    assert ledger.samples.last(BEGIN + HOUR) == written


def test_a_minute_keeps_its_first_sample_whoever_comes_later(ledger: Ledger) -> None:
    assert ledger.samples.write(sample(BEGIN + 1, lag=1))
    assert not ledger.samples.write(sample(BEGIN + 59, lag=2))
    assert ledger.samples.write(sample(BEGIN + 60, lag=3))
    assert [one.lag for one in ledger.samples.read(BEGIN, BEGIN + HOUR)] == [1, 3]


def test_old_samples_go_and_no_others(ledger: Ledger) -> None:
    ledger.samples.write(sample(BEGIN))
    ledger.samples.write(sample(BEGIN + HOUR))
    later = BEGIN + KEPT_FOR + HOUR
    ledger.samples.write(sample(later + 30 * MINUTE))  # old ones go once an hour
    assert len(ledger.samples.read(0.0, later + DAY)) == 3
    ledger.samples.write(sample(later))
    assert [one.at for one in ledger.samples.read(0.0, later + DAY)] == [BEGIN + HOUR, later, later + 30 * MINUTE]


def test_fewer_points_have_the_highest_of_the_minutes_they_stand_for(ledger: Ledger) -> None:
    for minute in range(10):
        figures = {"lag": [9, None][minute % 2], "pending_users": minute, "oldest_pending_s": float(10 - minute)}
        ledger.samples.write(
            sample(BEGIN + minute * MINUTE, training=minute == 3, champion=minute, events=minute, **figures)
        )
    one, other = ledger.samples.read(BEGIN, BEGIN + HOUR, points=2)
    assert (one.at, one.lag, one.pending_users, one.oldest_pending_s) == (BEGIN + 4 * MINUTE, 9, 4, 10.0)
    assert (one.training, one.champion, one.events) == (True, 4, 4)
    assert (other.at, other.pending_users, other.training) == (BEGIN + 9 * MINUTE, 9, False)


@pytest.mark.parametrize("points", [1, 2, 3, 7, 20])
@pytest.mark.parametrize("begin", [0, 1, 5])
def test_never_more_points_than_asked_for_and_none_where_nothing_is_known(
    ledger: Ledger, points: int, begin: int
) -> None:
    fill(ledger, range(begin, begin + 5))
    fill(ledger, range(90, 95))
    found = ledger.samples.read(BEGIN, BEGIN + DAY, points=points)
    assert 1 <= len(found) <= points
    assert {one.at for one in found} <= {BEGIN + minute * MINUTE for minute in (*range(20), *range(90, 95))}
    assert found[-1].at == BEGIN + 94 * MINUTE


def test_only_what_was_asked_for_is_read(ledger: Ledger) -> None:
    fill(ledger, range(10))
    found = ledger.samples.read(BEGIN + 3 * MINUTE, BEGIN + 5 * MINUTE)
    assert [one.at for one in found] == [BEGIN + minute * MINUTE for minute in (3, 4, 5)]


def test_the_share_of_minutes_in_which_the_oldest_change_was_young_enough(ledger: Ledger) -> None:
    fill(ledger, range(6), oldest_pending_s=None)
    fill(ledger, range(6, 8), oldest_pending_s=100.0)
    fill(ledger, range(8, 10), oldest_pending_s=100.5)
    now = BEGIN + 9.5 * MINUTE
    assert ledger.samples.kept(100.0, now) == (Kept(10, 8), Kept(10, 8))
    assert ledger.samples.kept(101.0, now)[0] == Kept(10, 10)
    day, week = ledger.samples.kept(100.0, BEGIN + DAY + 5.5 * MINUTE)
    assert (day, week) == (Kept(4, 2), Kept(10, 8))


def test_a_new_sample_counts_at_once(ledger: Ledger) -> None:
    fill(ledger, range(2))
    now = BEGIN + 2.5 * MINUTE
    assert ledger.samples.kept(100.0, now)[0] == Kept(2, 2)
    ledger.samples.write(sample(BEGIN + 2 * MINUTE, oldest_pending_s=200.0))
    assert ledger.samples.kept(100.0, now)[0] == Kept(3, 2)


def test_a_sample_of_a_clock_that_was_ahead_counts_when_its_time_has_come(ledger: Ledger) -> None:
    fill(ledger, range(2))
    ledger.samples.write(sample(BEGIN + DAY, oldest_pending_s=1e6))
    assert ledger.samples.kept(100.0, BEGIN + MINUTE)[0] == Kept(2, 2)
    assert ledger.samples.last(BEGIN + MINUTE) == sample(BEGIN + MINUTE)


def test_a_fortnight_takes_little_memory(ledger: Ledger) -> None:
    minutes, points = int(KEPT_FOR // MINUTE), 100
    first = int(BEGIN // MINUTE)
    rows = [
        {"minute": first + minute, "figures": sample(BEGIN + minute * MINUTE, lag=minute).model_dump(mode="json")}
        for minute in range(minutes)
    ]
    with ledger.engine.begin() as connection:
        connection.execute(samples.insert(), rows)
    del rows
    tracemalloc.start()
    try:
        found = ledger.samples.read(BEGIN, BEGIN + KEPT_FOR, points)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert points / 2 < len(found) <= points
    assert found[-1].lag == minutes - 1
    assert peak < 5_000_000
