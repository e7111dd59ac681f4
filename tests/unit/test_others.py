"""What one instance knows of the others: who has been silent for long is gone, whatever the clocks say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from consumer.cycles.others import Others
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.status import Status


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with closing(open_ledger("sqlite://")) as opened:
        yield opened


def says(ledger: Ledger, name: str, at: float, *, caught_up: bool) -> None:
    status = Status(1, "listening", written_at=at, polled_at=at, lag=0, hold=None, cycle=None, caught_up=caught_up)
    ledger.instances.report(name, status, at)


@pytest.mark.parametrize("ahead", [0.0, -3000.0, 3000.0])
def test_an_instance_counts_as_long_as_it_speaks_however_its_clock_is_set(ledger: Ledger, ahead: float) -> None:
    now = [0.0]
    others = Others(ledger.instances, "a", lambda: now[0])
    says(ledger, "a", 50_000.0, caught_up=False)
    assert others.caught_up()
    for step in range(10):
        now[0] = 3.0 * step
        says(ledger, "b", 50_000.0 + ahead + now[0], caught_up=False)
        assert not others.caught_up()
    says(ledger, "b", 50_000.0 + ahead + 27.5, caught_up=True)
    assert others.caught_up()
    says(ledger, "b", 50_000.0 + ahead + 28.0, caught_up=False)
    assert not others.caught_up()
    now[0] = 41.9
    assert not others.caught_up()
    now[0] = 42.1
    assert others.caught_up()
