"""The lease as one instance sees it, against a ledger: who runs cycles, who waits, and for how long."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from consumer.cycles.leadership import Leadership
from consumer.errors import LeaseLost
from consumer.ledger.leases import Lease
from consumer.ledger.ledger import Ledger, open_ledger
from schemas.cycle import CycleKind
from tests.waiting import wait_until

PATIENCE = 9.0


class Watched(Leadership):
    """One whose clock shows what it was last given as the time."""

    def __init__(self, ledger: Ledger, name: str) -> None:
        self._shown = 0.0
        super().__init__(ledger.leases, name, PATIENCE, lambda: self._shown)

    def holds(self, now: float, *, candidate: bool = True) -> bool:
        self._shown = now
        return super().holds(now, candidate=candidate)


@pytest.fixture
def first(ledger: Ledger) -> Leadership:
    return Watched(ledger, "a")


@pytest.fixture
def second(ledger: Ledger) -> Leadership:
    return Watched(ledger, "b")


def test_the_first_to_come_runs_cycles_and_the_other_stands_by(first: Leadership, second: Leadership) -> None:
    assert first.holds(0.0)
    assert not second.holds(0.0)
    assert first.held
    assert not second.held
    assert second.rival is not None
    assert second.rival.holder == "a"
    with pytest.raises(LeaseLost, match="must not run cycles"):
        _ = second.fence


def test_as_long_as_the_holder_renews_nobody_takes_over(first: Leadership, second: Leadership) -> None:
    for tenth in range(1000):
        assert first.holds(tenth / 10)
        assert not second.holds(tenth / 10)


def test_a_silent_holder_is_replaced_when_patience_is_over_and_finds_out(first: Leadership, second: Leadership) -> None:
    assert first.holds(0.0)
    assert not second.holds(1.0)
    assert not second.holds(9.9)
    assert second.holds(10.0)
    assert second.fence > first.fence
    assert not first.holds(11.0)
    assert not first.held
    assert second.holds(12.0)


def test_patience_begins_anew_with_every_renewal(first: Leadership, second: Leadership) -> None:
    assert first.holds(0.0)
    assert not second.holds(0.0)
    assert first.holds(8.0)
    assert not second.holds(8.0)
    assert not second.holds(16.0)
    assert second.holds(17.0)


def test_clocks_of_two_machines_are_never_compared(first: Leadership, second: Leadership) -> None:
    assert first.holds(0.0)
    assert not second.holds(1e9)
    assert not second.holds(1e9 + 8.9)
    assert second.holds(1e9 + 9.0)


def test_a_clock_that_is_set_neither_ends_nor_prolongs_patience(ledger: Ledger) -> None:
    elapsed = [0.0]
    first, second = (Leadership(ledger.leases, name, PATIENCE, lambda: elapsed[0]) for name in "ab")
    assert first.holds(0.0)
    assert not second.holds(0.0)
    assert not second.holds(1e6)  # set forward by days
    elapsed[0] = 4.0
    assert first.holds(-1e6)  # set back: it renews all the same
    assert ledger.leases.current() == Lease("a", first.fence, 1)
    assert not second.holds(-1e6)
    elapsed[0] = 13.0
    assert second.holds(-1e6)


def test_what_was_left_in_good_order_is_taken_at_once(first: Leadership, second: Leadership) -> None:
    assert first.holds(0.0)
    assert not second.holds(0.0)
    first.release(1.0)
    assert not first.held
    assert second.holds(1.0)


def test_who_comes_back_takes_over_at_once_and_knows_that_nobody_else_was_there(
    ledger: Ledger, first: Leadership, second: Leadership
) -> None:
    assert first.holds(0.0)
    again = Watched(ledger, "a")
    assert again.holds(0.5)
    assert again.previous == first.fence
    assert not first.holds(4.0)  # and does not take it back by its name
    assert not first.holds(5.0)
    assert again.holds(5.0)


def test_who_comes_back_after_another_knows_that_too(ledger: Ledger, first: Leadership, second: Leadership) -> None:
    assert first.holds(0.0)
    ours = first.fence
    assert not second.holds(0.0)
    assert second.holds(9.0)
    second.release(9.5)
    again = Watched(ledger, "a")
    assert again.holds(10.0)
    assert again.previous != ours


def test_while_something_takes_long_the_lease_is_renewed(ledger: Ledger) -> None:
    holder = Leadership(ledger.leases, "a", 0.3)
    assert holder.holds(0.0)
    taken = ledger.leases.current()
    assert taken is not None
    with holder.kept():
        wait_until(lambda: _renewals(ledger) >= taken.renewals + 2, 30, "two renewals")
    still = ledger.leases.current()
    assert still == replace(taken, renewals=still.renewals if still else 0)
    assert not any(thread.name == "lease" for thread in threading.enumerate())


def test_who_loses_the_lease_in_something_that_takes_long_hears_of_it(ledger: Ledger) -> None:
    holder = Leadership(ledger.leases, "a", 0.3)
    assert holder.holds(0.0)

    def loses_it() -> None:
        with holder.kept():
            assert ledger.leases.take("b", ledger.leases.current(), 1.0)
            wait_until(lambda: not any(one.name == "lease" for one in threading.enumerate()), 30, "the last renewal")

    with pytest.raises(LeaseLost, match="'b' has it"):
        loses_it()


def test_a_write_of_the_holder_shows_that_it_lives(ledger: Ledger, first: Leadership, second: Leadership) -> None:
    """Who waits for the lock that a long write holds must not take the lease over when it is done."""
    assert first.holds(0.0)
    assert not second.holds(0.0)
    ledger.cycles.claim(CycleKind.FULL, "takes long", 1.0, fence=first.fence)
    assert not second.holds(PATIENCE + 0.1)
    assert second.holds(2 * PATIENCE + 0.2)


def _renewals(ledger: Ledger) -> int:
    lease = ledger.leases.current()
    return lease.renewals if lease else 0


def test_confirming_a_lost_lease_says_so(first: Leadership, second: Leadership) -> None:
    assert first.holds(0.0)
    assert not second.holds(0.0)
    assert second.holds(9.0)
    with pytest.raises(LeaseLost):
        first.confirm(9.0)


def test_tokens_outlive_a_ledger_that_was_lost(tmp_path: Path, first: Leadership) -> None:
    """A registry remembers the latest token; the tokens of a new ledger must not look outdated there."""
    assert first.holds(1_000_000.0)
    anew = open_ledger(f"sqlite:///{tmp_path / 'anew.db'}")
    later = Watched(anew, "a")
    assert later.holds(1_000_100.0)
    assert later.fence > first.fence
    anew.close()


def test_who_is_no_candidate_gives_the_lease_back_and_takes_none(first: Leadership, second: Leadership) -> None:
    assert first.holds(0.0)
    assert not first.holds(1.0, candidate=False)
    assert not first.held
    assert not first.holds(2.0, candidate=False)  # it is free
    assert not second.holds(20.0, candidate=False)
    assert second.holds(21.0)
    assert not first.holds(22.0)
    assert not first.holds(31.5, candidate=False)  # by now it has been silent for long
    assert first.holds(31.6)


def test_who_comes_back_and_cannot_run_cycles_yet_takes_over_when_it_can(ledger: Ledger, first: Leadership) -> None:
    assert first.holds(0.0)
    again = Watched(ledger, "a")
    assert not again.holds(0.5, candidate=False)
    assert again.holds(1.0)
    assert again.previous == first.fence


def test_what_was_taken_meanwhile_is_not_taken_back_by_its_old_holder(
    ledger: Ledger, first: Leadership, second: Leadership
) -> None:
    assert first.holds(0.0)
    again = Watched(ledger, "a")
    assert not again.holds(0.5, candidate=False)
    assert not second.holds(0.5)
    assert second.holds(9.5)
    assert not again.holds(9.6)


def test_logs_name_a_holder_as_people_know_it(ledger: Ledger) -> None:
    first = Leadership(ledger.leases, "0123-aaaa", PATIENCE, name="host:/state")
    second = Leadership(ledger.leases, "4567-aaaa", PATIENCE, name="host:/state")
    assert first.holds(0.0)
    with capture_logs() as said:
        assert not second.holds(0.0)  # the name is the same, and it is another all the same
    assert said[0]["runs_cycles"] == "host:/state"
    assert ledger.leases.current() == Lease("0123-aaaa", first.fence, 0)
