"""A ledger that takes nothing is offered something ever later, and told of once; with the clock in hand."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from consumer.listener.ledger_backoff import LedgerBackoff
from consumer.trouble import Trouble
from schemas.log_events.event import begins, ends
from schemas.log_events.listener import LEDGER_REFUSES_CHANGES, LEDGER_TAKES_CHANGES


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


FULL = OperationalError("INSERT ... a thousand parameters", {}, Exception("database or disk is full"))


def test_it_is_offered_something_ever_later_and_at_once_when_it_takes_again() -> None:
    clock = Clock()
    backoff = LedgerBackoff(clock)
    assert backoff.due
    waits = []
    for _ in range(7):
        backoff.refused(FULL)
        begun = clock.now
        while not backoff.due:
            clock.now += 0.5
        waits.append(clock.now - begun)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert backoff.reason == "database or disk is full"
    backoff.took()
    assert backoff.due
    assert backoff.reason is None
    backoff.refused(FULL)
    assert not backoff.due
    clock.now += 1
    assert backoff.due


def test_trouble_is_said_when_it_begins_each_minute_and_when_it_is_over() -> None:
    clock = Clock()
    backoff = LedgerBackoff(clock)
    with capture_logs() as logs:
        for _ in range(130):
            backoff.refused(FULL)
            clock.now += 1
        backoff.took()
        backoff.took()
    told = [(line["log_level"], line["event"], line.get("since_s"), line.get("failures")) for line in logs]
    assert told == [
        ("error", LEDGER_REFUSES_CHANGES, None, None),
        ("warning", LEDGER_REFUSES_CHANGES, 60, 60),
        ("warning", LEDGER_REFUSES_CHANGES, 120, 120),
        ("info", LEDGER_TAKES_CHANGES, None, 130),
    ]


@pytest.mark.parametrize("times", [1, 2])
def test_trouble_that_comes_again_is_said_again(times: int) -> None:
    trouble = Trouble(begins("it does not work", ""), ends("it works", ""), Clock())
    with capture_logs() as logs:
        for _ in range(times):
            trouble.met("why")
            trouble.over()
    assert [line["event"] for line in logs] == ["it does not work", "it works"] * times
