"""Calls of stores and registry are counted by how they went, and go through unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from schemas.stores.calls import Call, CalledAt, CallOutcome, CallReport
from stores.errors import ClusterUnreachable, ContractError, RegistryError, StaleFence
from trainer.calls import Calls, outcome_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Store:
    """Reading takes a second; each portion of all takes two."""

    group = "spotify"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.error: Exception | None = None
        self.closed = False

    def read(self, keys: list[str], *, twice: bool = False) -> list[str]:
        self._clock.now += 1
        if self.error is not None:
            raise self.error
        return keys * (2 if twice else 1)

    def snapshot(self, changed: list[str]) -> Iterator[str]:  # noqa: ARG002  (as a store has it)
        try:
            for portion in ("one", "two", "three"):
                self._clock.now += 2
                if self.error is not None:
                    raise self.error
                yield portion
        finally:
            self.closed = True

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock)


def seen(calls: Calls) -> list[tuple[Any, ...]]:
    return [(one.call, one.outcome, one.count, one.seconds) for one in calls.report]


def test_a_call_goes_through_and_is_counted(clock: Clock, store: Store) -> None:
    calls = Calls(clock)
    counted = calls.counted(CalledAt.FEATURES, store)
    assert counted.read(["a"], twice=True) == ["a", "a"]
    assert counted.read(["b"]) == ["b"]
    counted.close()
    assert (counted.group, store.closed) == ("spotify", True)
    assert seen(calls) == [(Call.READ, CallOutcome.OK, 2, 2.0)]


def test_an_error_goes_through_and_is_counted_by_its_kind(clock: Clock, store: Store) -> None:
    calls = Calls(clock)
    counted = calls.counted(CalledAt.FEATURES, store)
    store.error = ClusterUnreachable("nobody answers")
    with pytest.raises(ClusterUnreachable):
        counted.read(["a"])
    store.error = None
    counted.read(["a"])
    assert seen(calls) == [(Call.READ, CallOutcome.OK, 1, 1.0), (Call.READ, CallOutcome.UNREACHABLE, 1, 1.0)]


def test_portions_are_one_call_and_only_the_time_of_the_store_counts(clock: Clock, store: Store) -> None:
    calls = Calls(clock)
    for _ in calls.counted(CalledAt.FEATURES, store).snapshot([]):
        clock.now += 100  # what the cycle does with a portion
    assert seen(calls) == [(Call.SNAPSHOT, CallOutcome.OK, 1, 6.0)]


def test_a_stream_that_is_not_read_to_its_end_is_closed_and_counted(clock: Clock, store: Store) -> None:
    calls = Calls(clock)
    portions: Any = calls.counted(CalledAt.FEATURES, store).snapshot([])
    next(portions)
    portions.close()
    assert store.closed
    assert seen(calls) == [(Call.SNAPSHOT, CallOutcome.OK, 1, 2.0)]


def test_a_stream_that_breaks_is_counted_once(clock: Clock, store: Store) -> None:
    calls = Calls(clock)
    portions = calls.counted(CalledAt.FEATURES, store).snapshot([])
    next(portions)
    store.error = OSError("the disk is gone")
    with pytest.raises(OSError, match="gone"):
        next(portions)
    assert seen(calls) == [(Call.SNAPSHOT, CallOutcome.ERROR, 1, 4.0)]


def test_opening_counts_and_what_is_not_there_does_not(clock: Clock, store: Store) -> None:
    calls = Calls(clock)

    def fails() -> Store:
        raise ClusterUnreachable("nobody answers")

    assert calls.opened(CalledAt.LABELS, lambda: None) is None
    assert calls.opened(CalledAt.FEATURES, lambda: store).read(["a"]) == ["a"]
    with pytest.raises(ClusterUnreachable):
        calls.opened(CalledAt.REGISTRY, fails)
    assert {(one.where, *told) for one, told in zip(calls.report, seen(calls), strict=True)} == {
        (CalledAt.FEATURES, Call.OPEN, CallOutcome.OK, 1, 0.0),
        (CalledAt.FEATURES, Call.READ, CallOutcome.OK, 1, 1.0),
        (CalledAt.REGISTRY, Call.OPEN, CallOutcome.UNREACHABLE, 1, 0.0),
    }


def test_many_short_calls_add_up(clock: Clock) -> None:
    calls = Calls(clock)
    for _ in range(5000):
        calls.add(CalledAt.LABELS, Call.READ, None, 0.0002)
    expected = CallReport(where=CalledAt.LABELS, call=Call.READ, outcome=CallOutcome.OK, count=5000, seconds=1.0)
    assert calls.report == (expected,)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (None, CallOutcome.OK),
        (ContractError("so"), CallOutcome.CONTRACT),
        (StaleFence("so"), CallOutcome.STALE_FENCE),
        (RegistryError("so"), CallOutcome.ERROR),
        (ValueError("so"), CallOutcome.ERROR),
    ],
)
def test_an_error_has_a_word(error: Exception | None, word: CallOutcome) -> None:
    assert outcome_of(error) == word
