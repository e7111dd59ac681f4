"""The trigger never starves a change, never hurries a cycle, and says when to look again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from consumer.cycles.trigger import Hold, Reason, Start, TriggerPolicy, TriggerState, Wait, decide
from schemas.cycle import CycleKind

POLICY = TriggerPolicy(changed_users=10, changed_share=0.5, max_staleness=100, quiet_period=5, min_interval=20)
BUSY = TriggerState(pending_users=10, known_users=1000, oldest_change=50, newest_change=60, last_cycle_end=None)
NEW = TriggerState(
    pending_users=0, known_users=0, oldest_change=None, newest_change=None, last_cycle_end=None, has_champion=False
)

times = st.floats(0, 1000)
states = st.builds(
    TriggerState,
    pending_users=st.integers(1, 50),
    known_users=st.integers(1, 100),
    oldest_change=times,
    newest_change=times,
    last_cycle_end=st.none() | times,
    has_champion=st.booleans(),
    rejections_in_a_row=st.integers(0, 5),
)


def test_enough_changed_users_start_a_cycle_once_they_are_quiet() -> None:
    assert decide(POLICY, BUSY, now=64) == Wait(Hold.QUIET, until=65)
    assert decide(POLICY, BUSY, now=65) == Start(Reason.COUNT)


def test_a_large_share_of_few_users_starts_a_cycle() -> None:
    assert decide(POLICY, replace(BUSY, pending_users=4, known_users=8), now=65) == Start(Reason.SHARE)
    assert decide(POLICY, replace(BUSY, pending_users=4, known_users=9), now=65) == Wait(Hold.THRESHOLD, until=150)


def test_a_lone_change_starts_a_cycle_when_it_is_stale() -> None:
    lone = replace(BUSY, pending_users=1)
    assert decide(POLICY, lone, now=149) == Wait(Hold.THRESHOLD, until=150)
    assert decide(POLICY, lone, now=150) == Start(Reason.STALENESS)


def test_the_first_cycle_starts_by_itself_and_only_once() -> None:
    assert decide(POLICY, NEW, now=0) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)
    assert decide(POLICY, replace(NEW, last_cycle_end=0.0), now=30) == Wait(Hold.NOTHING)
    # A feature store that was away is no reason never to start.
    failed = replace(NEW, last_cycle_end=0.0, last_cycle_failed=True)
    assert decide(POLICY, failed, now=19) == Wait(Hold.INTERVAL, until=20)
    assert decide(POLICY, failed, now=20) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)
    again = replace(NEW, last_cycle_end=0.0, pending_users=1, oldest_change=1.0, newest_change=1.0)
    assert decide(POLICY, again, now=30) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)


def test_a_backlog_is_read_before_anything_is_claimed() -> None:
    assert decide(POLICY, replace(NEW, caught_up=False), now=0) == Wait(Hold.CATCHING_UP)
    asked = replace(BUSY, caught_up=False, asked=CycleKind.FULL)
    assert decide(POLICY, asked, now=500) == Wait(Hold.CATCHING_UP)


def test_an_operator_does_not_wait_for_the_interval_but_for_the_running_cycle() -> None:
    asked = replace(BUSY, last_cycle_end=60.0, asked=CycleKind.FULL)
    assert decide(POLICY, asked, now=61) == Start(Reason.OPERATOR, CycleKind.FULL)
    assert decide(POLICY, replace(asked, cycle_running=True), now=61) == Wait(Hold.RUNNING)
    replayed = replace(BUSY, asked=CycleKind.BACKFILL)
    assert decide(POLICY, replayed, now=61) == Start(Reason.REPLAY, CycleKind.BACKFILL)


def test_rejections_in_a_row_lead_to_training_from_scratch() -> None:
    assert decide(POLICY, replace(BUSY, rejections_in_a_row=3), now=65) == Start(Reason.REJECTIONS, CycleKind.FULL)


def test_a_scheduled_full_retrain_needs_no_changes_but_a_version_to_renew() -> None:
    due = replace(NEW, has_champion=True, full_retrain_due=True)
    assert decide(POLICY, due, now=0) == Start(Reason.SCHEDULE, CycleKind.FULL)
    assert decide(POLICY, replace(due, last_cycle_end=0.0), now=19) == Wait(Hold.INTERVAL, until=20)


@given(states, times)
def test_no_change_waits_longer_than_its_limits(state: TriggerState, now: float) -> None:
    assert state.oldest_change is not None
    overdue = max(state.oldest_change + POLICY.max_staleness, (state.last_cycle_end or -20) + POLICY.min_interval)
    if now >= overdue:
        assert isinstance(decide(POLICY, state, now), Start)


@given(states, times)
def test_no_cycle_starts_before_the_interval_is_over(state: TriggerState, now: float) -> None:
    if state.last_cycle_end is not None and now < state.last_cycle_end + POLICY.min_interval:
        assert decide(POLICY, state, now) == Wait(Hold.INTERVAL, until=state.last_cycle_end + POLICY.min_interval)


@given(states, times)
def test_a_follower_never_starts_without_a_champion(state: TriggerState, now: float) -> None:
    match decide(POLICY, replace(state, has_champion=False), now):
        case Start(kind=kind):
            assert kind is CycleKind.BOOTSTRAP
        case Wait():
            pass


@given(states, times)
def test_looking_again_when_told_always_leads_somewhere(state: TriggerState, now: float) -> None:
    for _ in range(4):
        match decide(POLICY, state, now):
            case Start():
                return
            case Wait(until=until):
                assert until is not None
                assert until > now
                now = until
    raise AssertionError("waited four times without starting")
