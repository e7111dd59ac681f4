"""Quiet hours, the training budget and the freshness promise: what they keep from starting, and until when exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.cycles.restraints import may_start_from, start_by
from consumer.cycles.training_budget import at_work, spent, used_up_until
from consumer.cycles.trigger import Hold, Probe, Reason, Start, TriggerState, Wait, decide
from consumer.ledger.watching.training import DAY, Ran
from schemas.cycle import CycleKind
from schemas.times.quiet_hours import Span
from tests.unit.consumer.cycles.test_trigger import BUSY, NEW, POLICY, pending

QUIET = replace(BUSY, quiet_until=500.0)
SPENT = replace(BUSY, budget_until=700.0)
LONE = replace(BUSY, pending_users=1)
ASKING = POLICY.model_copy(update={"regret": 0.02, "probe_changes": 1})

IN_QUIET_HOURS = Wait(Hold.QUIET_HOURS, until=500.0)


def test_no_cycle_starts_in_quiet_hours_and_the_wait_says_until_when() -> None:
    assert decide(POLICY, BUSY, now=65) == Start(Reason.COUNT)
    assert decide(POLICY, QUIET, now=65) == IN_QUIET_HOURS
    assert decide(POLICY, QUIET, now=499.9) == IN_QUIET_HOURS
    assert decide(POLICY, replace(QUIET, quiet_until=None), now=500) == Start(Reason.STALENESS)


@pytest.mark.parametrize(
    "state",
    [
        replace(NEW, quiet_until=500.0, pending_users=1, oldest_change=1.0),
        replace(QUIET, full_retrain_due=True),
        replace(QUIET, drifted=True),
        replace(QUIET, rejections_in_a_row=3),
        replace(QUIET, pending_users=1),  # stale
    ],
    ids=["first version", "schedule", "drift", "rejections", "staleness"],
)
def test_nothing_starts_by_itself_in_quiet_hours(state: TriggerState) -> None:
    assert decide(POLICY, state, now=300) == IN_QUIET_HOURS
    assert isinstance(decide(POLICY, replace(state, quiet_until=None), now=500), Start)


def test_the_champion_is_not_asked_in_quiet_hours_either() -> None:
    assert decide(ASKING, LONE, now=65) == Probe()
    assert decide(ASKING, replace(LONE, quiet_until=500.0), now=65) == IN_QUIET_HOURS


def test_an_order_of_a_person_goes_in_quiet_hours_and_beyond_the_budget_and_a_pause_outranks_both() -> None:
    both = replace(QUIET, budget_until=700.0)
    assert decide(POLICY, replace(both, asked=CycleKind.FULL), now=65) == Start(Reason.OPERATOR, CycleKind.FULL)
    assert decide(POLICY, replace(both, asked=CycleKind.BACKFILL), now=65) == Start(Reason.REPLAY, CycleKind.BACKFILL)
    assert decide(POLICY, replace(both, paused=True), now=65) == Wait(Hold.PAUSED)
    assert decide(POLICY, replace(both, paused=True, asked=CycleKind.FULL), now=65) == Wait(Hold.PAUSED)


def test_a_cycle_that_runs_goes_on_in_quiet_hours() -> None:
    assert decide(POLICY, replace(QUIET, cycle_running=True), now=65) == Wait(Hold.RUNNING)


def test_of_several_waits_the_longest_is_told() -> None:
    assert decide(POLICY, SPENT, now=65) == Wait(Hold.BUDGET, until=700.0)
    assert decide(POLICY, replace(SPENT, quiet_until=500.0), now=65) == Wait(Hold.BUDGET, until=700.0)
    assert decide(POLICY, replace(SPENT, quiet_until=900.0), now=65) == Wait(Hold.QUIET_HOURS, until=900.0)
    failed = replace(QUIET, last_cycle_end=490.0, last_cycle_failed=True)
    assert decide(POLICY, failed, now=495) == Wait(Hold.FAILED, until=510.0)
    few = replace(LONE, oldest_change=450.0, newest_change=450.0, quiet_until=500.0)
    assert decide(POLICY, few, now=460) == Wait(Hold.THRESHOLD, until=550.0)
    assert decide(POLICY, replace(few, quiet_until=560.0), now=460) == Wait(Hold.QUIET_HOURS, until=560.0)


@pytest.mark.parametrize("state", [replace(NEW, has_champion=True), replace(NEW, pending_labels=4, last_cycle_end=0.0)])
def test_where_nothing_would_start_anyway_that_is_what_is_told(state: TriggerState) -> None:
    assert decide(POLICY, replace(state, quiet_until=500.0, budget_until=700.0), now=65) == decide(POLICY, state, 65)


def test_a_cycle_starts_in_time_for_the_promise() -> None:
    promised = replace(LONE, start_by=80.0)
    assert decide(POLICY, promised, now=79) == Wait(Hold.THRESHOLD, until=80.0)
    assert decide(POLICY, promised, now=80) == Start(Reason.FRESHNESS)
    assert decide(POLICY, replace(promised, pending_users=10), now=80) == Start(Reason.COUNT)
    assert decide(POLICY, replace(promised, start_by=1000.0), now=149) == Wait(Hold.THRESHOLD, until=150.0)
    assert decide(POLICY, replace(promised, start_by=1000.0), now=150) == Start(Reason.STALENESS)


def test_changes_that_go_on_arriving_do_not_break_the_promise() -> None:
    assert decide(POLICY, replace(BUSY, newest_change=78.0, start_by=80.0), now=79) == Wait(Hold.QUIET, until=80.0)
    assert decide(POLICY, replace(BUSY, newest_change=79.9, start_by=80.0), now=80) == Start(Reason.COUNT)


def test_cycles_keep_apart_whatever_is_promised() -> None:
    assert decide(POLICY, replace(LONE, start_by=80.0, last_cycle_end=75.0), now=85) == Wait(Hold.INTERVAL, until=95.0)


def test_the_promise_breaks_quiet_hours_only_where_a_setting_says_so() -> None:
    due = replace(LONE, start_by=80.0, quiet_until=500.0)
    assert decide(POLICY, due, now=90) == IN_QUIET_HOURS
    first = replace(due, outranks_quiet=True)
    assert decide(POLICY, first, now=79) == Wait(Hold.QUIET_HOURS, until=80.0)
    assert decide(POLICY, first, now=80) == Start(Reason.FRESHNESS)
    assert decide(POLICY, replace(first, budget_until=700.0), now=80) == Wait(Hold.BUDGET, until=700.0)


def test_a_cycle_has_to_start_early_enough_to_end_in_time() -> None:
    assert start_by(1000.0, 1800.0, 240.0, ()) == 2470.0
    assert start_by(1000.0, 1800.0, 4000.0, ()) == 1000.0  # at once: it will be late anyway


def test_a_start_that_falls_into_quiet_hours_is_brought_forward() -> None:
    quiet = (Span(2400.0, 9000.0),)
    assert start_by(1000.0, 1800.0, 240.0, quiet) == 2160.0
    assert start_by(2300.0, 1800.0, 240.0, quiet) == 2300.0  # too late to end before they begin: at once
    assert start_by(3000.0, 1800.0, 240.0, quiet) == 3000.0
    assert start_by(8000.0, 1800.0, 240.0, quiet) == 9470.0
    assert start_by(1000.0, 1800.0, 240.0, quiet, outranks_quiet=True) == 2470.0


def test_the_first_moment_outside_of_quiet_hours() -> None:
    quiet = (Span(100.0, 200.0), Span(300.0, 400.0))
    assert [may_start_from(quiet, at) for at in (0.0, 100.0, 199.0, 200.0, 350.0)] == [0.0, 200.0, 200.0, 200.0, 400.0]


moments = st.none() | st.floats(0, 2000)
restrained = st.builds(
    lambda both, **rest: TriggerState(pending_users=both[0], pending_labels=both[1], **rest),
    pending,
    known_users=st.integers(0, 100),
    oldest_change=st.floats(0, 1000),
    newest_change=st.floats(0, 1000),
    last_cycle_end=st.none() | st.floats(0, 1000),
    rejections_in_a_row=st.integers(0, 4),
    full_retrain_due=st.booleans(),
    paused=st.booleans(),
    cycle_running=st.booleans(),
    asked=st.none() | st.sampled_from(list(CycleKind)),
    start_by=moments,
    outranks_quiet=st.booleans(),
    quiet_until=moments,
    budget_until=moments,
)


@given(restrained, st.floats(0, 2000))
def test_quiet_hours_and_budget_keep_back_what_starts_by_itself_and_nothing_else(
    state: TriggerState, now: float
) -> None:
    found = decide(ASKING, state, now)
    free = decide(ASKING, replace(state, quiet_until=None, budget_until=None), now)
    by_order = isinstance(free, Start) and free.reason in {Reason.OPERATOR, Reason.REPLAY}
    quiet = state.quiet_until is not None and now < state.quiet_until
    urgent = state.outranks_quiet and state.start_by is not None and now >= state.start_by
    spent_all = state.budget_until is not None and now < state.budget_until
    if by_order or not (spent_all or (quiet and not urgent)):
        assert found == free
        return
    assert isinstance(found, Wait)
    if found.hold in {Hold.QUIET_HOURS, Hold.BUDGET}:
        assert found.until is not None
        assert found.until > now
        later = decide(ASKING, replace(state, quiet_until=None, budget_until=None), found.until)
        assert not (isinstance(later, Wait) and later.hold in {Hold.QUIET_HOURS, Hold.BUDGET})
    else:
        assert found == free
        assert state.paused or state.cycle_running or (found.until or 0.0) >= (state.budget_until or 0.0)


def test_work_counts_from_claim_to_end_and_no_longer_than_its_attempts_may_take() -> None:
    ran = [Ran(5000.0, None, 1), Ran(3000.0, 3100.0, 1), Ran(1000.0, 2900.0, 3), Ran(500.0, 400.0, 1)]
    spans = at_work(ran, 600.0, now=5100.0)
    assert spans == [(5000.0, 5100.0), (3000.0, 3100.0), (1000.0, 2800.0), (500.0, 500.0)]
    assert at_work([Ran(1000.0, 90_000.0, 1)], 600.0, now=90_000.0) == [(1000.0, 1600.0)]  # its service was away


def test_the_budget_has_room_again_when_work_is_a_day_old() -> None:
    work = [Span(0.0, 600.0), Span(1000.0, 1600.0)]
    assert used_up_until(work, 1202.0, now=1600.0) is None
    assert used_up_until(work, 1200.0, now=1600.0) == DAY + 1.0
    assert used_up_until(work, 600.0, now=1600.0) == DAY + 1001.0
    assert used_up_until(work, 1200.0, now=DAY + 1.0) is None
    assert spent(work, now=DAY + 1.0) == 1199.0
    assert used_up_until([], 0.1, now=0.0) is None


@given(
    st.lists(st.tuples(st.floats(0, 20_000), st.floats(0, 8000)), max_size=12),
    st.floats(0.1, 86_400),
    st.floats(0, 20_000),
)
def test_the_budget_is_used_up_until_exactly_then(
    pieces: list[tuple[float, float]], budget: float, more: float
) -> None:
    work, end = [], 0.0
    for pause, length in pieces:
        work.append(Span(end + pause, end + pause + length))
        end += pause + length
    now = end + more
    until = used_up_until(work, budget, now)
    left = min(1.0, budget / 2)
    if until is None:
        assert spent(work, now) <= budget - left
        return
    assert now < until <= now + DAY
    assert spent(work, until) == pytest.approx(budget - left, abs=1e-5)
    assert spent(work, (now + until) / 2) >= budget - left - 1e-5
    assert used_up_until(work, budget, until + 0.001) is None or spent(work, until + 0.001) > budget - left - 1e-5
