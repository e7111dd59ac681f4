"""A reading that hangs keeps nobody waiting, and what is young is not read again."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from consumer.metrics.refreshing import Refreshing
from tests.waiting import wait_until

LONG = 60.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Source:
    """Counts how often it is read; hangs while `open` is not set."""

    def __init__(self) -> None:
        self.reads = 0
        self.open = threading.Event()
        self.open.set()
        self.error: Exception | None = None

    def __call__(self) -> int:
        self.reads += 1
        self.open.wait(LONG)
        if self.error is not None:
            raise self.error
        return self.reads


@pytest.fixture
def source() -> Iterator[Source]:
    made = Source()
    yield made
    made.open.set()


def test_what_is_young_is_used_again(source: Source) -> None:
    clock = Clock()
    refreshing = Refreshing(source, young=1.0, clock=clock)
    values = []
    for clock.now in (0.0, 0.5, 1.0, 1.9, 2.0):
        found = refreshing.now(LONG)
        values.append(found and found.value)
    assert values == [1, 1, 2, 2, 3]


def test_nobody_waits_longer_than_said_and_one_reading_is_under_way(source: Source) -> None:
    source.open.clear()
    refreshing = Refreshing(source, young=0.0001)
    assert [refreshing.now(0.01) for _ in range(3)] == [None, None, None]
    assert source.reads == 1
    source.open.set()
    wait_until(lambda: refreshing.latest(0.01), 5, "the reading that hung")
    assert (found := refreshing.latest(LONG)) is not None
    assert found.value >= 1


def test_the_last_reading_is_given_where_an_old_one_will_do(source: Source) -> None:
    clock = Clock()
    refreshing = Refreshing(source, young=1.0, clock=clock)
    refreshing.now(LONG)
    source.open.clear()
    clock.now = 5.0
    assert refreshing.now(0.01) is None
    found = refreshing.latest(0.01)
    assert (found.value, found.at) == (1, 0.0) if found else False


def test_what_was_read_for_somebody_is_his_however_long_he_was_kept_waiting(source: Source) -> None:
    """On a machine that is busy a reading may be old before whoever waited for it runs again."""
    ticks = iter(range(1000))
    refreshing = Refreshing(source, young=0.5, clock=lambda: float(next(ticks)))
    assert [found and found.value for found in (refreshing.now(LONG), refreshing.now(LONG))] == [1, 2]


def test_what_fails_is_told_and_tried_again(source: Source) -> None:
    told: list[str | None] = []
    refreshing = Refreshing(source, young=1.0, failed=lambda error: told.append(None if error is None else str(error)))
    source.error = OSError("gone")
    assert refreshing.now(LONG) is None
    source.error = None
    found = refreshing.now(LONG)
    assert (found and found.value, told) == (2, ["gone", None])
