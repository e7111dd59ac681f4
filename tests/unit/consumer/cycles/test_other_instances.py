"""What one instance knows of the others: who has been silent for long is gone, whatever the clocks say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from consumer.cycles.other_instances import OtherInstances
from consumer.ledger.ledger import Ledger
from consumer.status import Status
from schemas.log_events.service import STATE_FOLDER_COPIED


def says(ledger: Ledger, name: str, at: float, *, caught_up: bool, unable: str | None = None) -> None:
    how = Status(1, "listening", written_at=at, polled_at=at, lag=0, hold=None, cycle=None)
    ledger.instances.report(name, replace(how, caught_up=caught_up, unable=unable), at)


@pytest.mark.parametrize("ahead", [0.0, -3000.0, 3000.0])
def test_an_instance_counts_as_long_as_it_speaks_however_its_clock_is_set(ledger: Ledger, ahead: float) -> None:
    now = [0.0]
    others = OtherInstances(ledger.instances, "a", lambda: now[0])
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


def test_one_that_cannot_read_holds_nobody_up_until_it_can(ledger: Ledger) -> None:
    others = OtherInstances(ledger.instances, "a", lambda: 0.0)
    for unable in ("waiting for broker", "poll fails", "joining"):
        says(ledger, "b", 1.0, caught_up=False, unable=unable)
        assert others.caught_up()
    says(ledger, "b", 2.0, caught_up=False)
    assert not others.caught_up()


def test_another_is_known_to_read_once_it_has_spoken_again_and_not_by_an_old_word(ledger: Ledger) -> None:
    now = [0.0]
    others = OtherInstances(ledger.instances, "a", lambda: now[0])
    says(ledger, "a", 1.0, caught_up=True)
    says(ledger, "b", 1.0, caught_up=True)
    others.look()
    assert not others.anybody_reads()  # it may have died yesterday
    says(ledger, "b", 1.0, caught_up=True)  # and its clock stands still
    others.look()
    assert others.anybody_reads()
    says(ledger, "b", 2.0, caught_up=False, unable="poll fails")
    others.look()
    assert not others.anybody_reads()
    says(ledger, "b", 3.0, caught_up=False)
    others.look()
    now[0] = 14.9
    assert others.anybody_reads()
    now[0] = 15.0
    assert not others.anybody_reads()


@pytest.mark.parametrize("ahead", [-90_000.0, 90_000.0, 1e9])
def test_a_clock_that_is_off_by_days_makes_nobody_be_forgotten(ledger: Ledger, ahead: float) -> None:
    now = [0.0]
    others = OtherInstances(ledger.instances, "ahead", lambda: now[0])
    says(ledger, "ahead", 1e9 + ahead, caught_up=True)
    says(ledger, "well", 1e9, caught_up=False)
    assert not others.caught_up()
    for hour in range(3):
        now[0] = 3599.0 * hour
        says(ledger, "well", 1e9 + now[0], caught_up=False)
        says(ledger, "ahead", 1e9 + ahead + now[0], caught_up=True)
        assert not others.caught_up()
        assert {one.id for one in ledger.instances.all()} == {"ahead", "well"}


def test_who_is_silent_for_an_hour_is_forgotten_and_who_speaks_meanwhile_is_not(ledger: Ledger) -> None:
    now = [0.0]
    others = OtherInstances(ledger.instances, "a", lambda: now[0])
    for name in "abc":
        says(ledger, name, 1.0, caught_up=True)
    others.look()
    now[0] = 3000.0
    says(ledger, "b", 2.0, caught_up=True)
    others.look()
    now[0] = 3600.0
    others.look()
    assert [one.id for one in ledger.instances.all()] == ["a", "b"]
    assert others.heard_within(601.0) == {"b"}
    assert others.heard_within(600.0) == set()
    (silent,) = [one for one in ledger.instances.all() if one.id == "b"]
    says(ledger, "b", 3.0, caught_up=True)
    ledger.instances.forget(silent)  # it was read before that
    assert [one.id for one in ledger.instances.all()] == ["a", "b"]


def test_a_copy_of_the_state_folder_that_runs_is_told_once(ledger: Ledger) -> None:
    others = OtherInstances(ledger.instances, "0123-aaaa", lambda: 0.0)
    with capture_logs() as said:
        for at in (1.0, 2.0, 3.0):
            says(ledger, "0123-bbbb", at, caught_up=True)
            says(ledger, "4567-bbbb", at, caught_up=True)
            others.look()
    assert [(line["event"], line["other"]) for line in said] == [(STATE_FOLDER_COPIED, "0123-bbbb")]
