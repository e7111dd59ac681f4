"""The trigger never starves a change, never hurries a cycle, and says when to look again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from consumer.cycles.trigger import Hold, Probe, Reason, Start, TriggerState, Wait, decide, full_waits
from schemas.cycle import CycleKind
from schemas.policies import TriggerPolicy

POLICY = TriggerPolicy(
    changed_users=10,
    changed_share=0.5,
    changed_labels=20,
    changed_label_share=0.5,
    max_staleness=100,
    quiet_period=5,
    max_quiet=40,
    min_interval=20,
    max_backoff=100,
)
BUSY = TriggerState(pending_users=10, known_users=1000, oldest_change=50, newest_change=60, last_cycle_end=None)
NEW = TriggerState(
    pending_users=0, known_users=0, oldest_change=None, newest_change=None, last_cycle_end=None, has_champion=False
)

times = st.floats(0, 1000)
pending = st.one_of(
    st.tuples(st.integers(1, 50), st.just(0)),
    st.tuples(st.just(0), st.integers(1, 50)),
    st.tuples(*[st.integers(1, 50)] * 2),
)


def _pending(both: tuple[int, int], **rest: Any) -> TriggerState:
    """At least one user or label is pending; before the first version a user, as labels start nothing then."""
    users, labels = both
    return TriggerState(pending_users=users if rest["has_champion"] else max(1, users), pending_labels=labels, **rest)


states = st.builds(
    _pending,
    pending,
    known_users=st.integers(0, 100),
    known_labels=st.integers(0, 100),
    oldest_change=times,
    newest_change=times,
    last_cycle_end=st.none() | times,
    has_champion=st.booleans(),
    rejections_in_a_row=st.integers(0, 5),
    held_in_a_row=st.integers(0, 12),
    drifted=st.booleans(),
    full_retrain_due=st.booleans(),
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


def test_changes_that_go_on_arriving_hold_a_cycle_back_only_for_a_while() -> None:
    busy = replace(BUSY, oldest_change=50, newest_change=89)
    assert decide(POLICY, busy, now=89) == Wait(Hold.QUIET, until=90)  # 40 s after the oldest came
    assert decide(POLICY, busy, now=90) == Start(Reason.COUNT)
    # Changes that trickled in before are no reason to cut a burst in two: it counts since when there is enough.
    burst = replace(busy, enough_since=85)
    assert decide(POLICY, burst, now=90) == Wait(Hold.QUIET, until=94)
    assert decide(POLICY, replace(burst, newest_change=125), now=124) == Wait(Hold.QUIET, until=125)
    assert decide(POLICY, replace(burst, newest_change=125), now=125) == Start(Reason.COUNT)
    # Who sets a longer quiet period than that means it.
    patient = POLICY.model_copy(update={"quiet_period": 60.0})
    assert decide(patient, busy, now=109) == Wait(Hold.QUIET, until=110)


def test_a_full_retrain_after_rejections_needs_as_much_as_any_cycle_and_waits_longer_each_time_it_is_refused() -> None:
    rejected = replace(BUSY, pending_users=1, rejections_in_a_row=3, fruitless_in_a_row=3, last_cycle_end=0.0)
    assert decide(POLICY, rejected, now=100) == Wait(Hold.THRESHOLD, until=150)
    assert decide(POLICY, rejected, now=150) == Start(Reason.REJECTIONS, CycleKind.FULL)
    again = replace(
        BUSY,
        rejections_in_a_row=5,
        fruitless_in_a_row=5,
        last_cycle_end=100.0,
        refused_from_scratch=2,
        last_refused_from_scratch=100.0,
    )
    assert decide(POLICY, again, now=199) == Wait(Hold.FRUITLESS, until=200)
    assert decide(POLICY, again, now=200) == Start(Reason.STALENESS)  # meanwhile the champion goes on learning
    assert full_waits(POLICY, again, now=200) == (Reason.REJECTIONS, Wait(Hold.REFUSED, until=300))
    assert decide(POLICY, again, now=300) == Start(Reason.REJECTIONS, CycleKind.FULL)
    assert full_waits(POLICY, again, now=300) is None
    assert full_waits(POLICY, replace(BUSY, last_refused_from_scratch=0.0), now=1) is None


def test_a_day_has_so_many_cycles_from_scratch_that_nobody_asked_for() -> None:
    policy = POLICY.model_copy(update={"max_full_per_day": 2})
    used = replace(BUSY, full_ends=(5000.0, 4000.0), last_cycle_end=5000.0, rejections_in_a_row=3)
    drifted = replace(used, drifted=True)
    for state, reason in ((used, Reason.REJECTIONS), (drifted, Reason.DRIFT)):
        assert decide(policy, state, now=6000) == Start(Reason.STALENESS)
        assert full_waits(policy, state, now=6000) == (reason, Wait(Hold.CEILING, until=90_400))
        assert decide(policy, state, now=90_400) == Start(reason, CycleKind.FULL)
    first = replace(used, has_champion=False, rejections_in_a_row=0)
    assert decide(policy, first, now=6000) == Wait(Hold.CEILING, until=90_400)
    for word in (replace(first, asked=CycleKind.INCREMENTAL), replace(used, asked=CycleKind.FULL)):
        assert isinstance(decide(policy, word, now=6000), Start)  # an operator outranks
    assert decide(policy, replace(used, full_retrain_due=True), now=6000) == Start(Reason.SCHEDULE, CycleKind.FULL)


def test_without_a_version_what_was_refused_is_tried_again_for_what_would_start_any_cycle() -> None:
    refused = replace(
        BUSY,
        pending_users=1,
        has_champion=False,
        last_cycle_end=0.0,
        fruitless_in_a_row=1,
        refused_from_scratch=1,
        last_refused_from_scratch=0.0,
    )
    assert decide(POLICY, refused, now=70) == Wait(Hold.THRESHOLD, until=150)
    assert decide(POLICY, replace(refused, pending_users=10), now=70) == Wait(Hold.REFUSED, until=100)
    assert decide(POLICY, replace(refused, pending_users=10), now=100) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)
    assert decide(POLICY, refused, now=150) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)
    nothing = replace(refused, pending_users=0, oldest_change=None, newest_change=None)
    assert decide(POLICY, nothing, now=10_000) == Wait(Hold.NOTHING)


def test_cycles_that_fail_are_tried_ever_later() -> None:
    waits = []
    for row in range(1, 6):
        failed = replace(BUSY, last_cycle_end=1000.0, last_cycle_failed=True, fruitless_in_a_row=row)
        match decide(POLICY, failed, now=1000):
            case Wait(hold=Hold.FAILED, until=until) if until is not None:
                waits.append(until - 1000)
    assert waits == [20, 40, 80, 100, 100]
    hurried = TriggerPolicy(min_interval=0, quiet_period=0)
    failed = replace(BUSY, last_cycle_end=1000.0, last_cycle_failed=True, fruitless_in_a_row=5)
    assert decide(hurried, failed, now=1000) == Wait(Hold.FAILED, 1016)


LABELS = replace(BUSY, pending_users=0, pending_labels=20)


def test_enough_changed_labels_start_a_cycle_as_users_do() -> None:
    assert decide(POLICY, LABELS, now=64) == Wait(Hold.QUIET, until=65)
    assert decide(POLICY, LABELS, now=65) == Start(Reason.LABEL_COUNT)
    few = replace(LABELS, pending_labels=5)
    assert decide(POLICY, replace(few, known_labels=10), now=65) == Start(Reason.LABEL_SHARE)
    assert decide(POLICY, replace(few, known_labels=11), now=65) == Wait(Hold.THRESHOLD, until=150)
    assert decide(POLICY, replace(few, known_labels=11), now=150) == Start(Reason.STALENESS)
    assert decide(POLICY, replace(BUSY, pending_labels=20), now=65) == Start(Reason.COUNT)


def test_of_no_known_labels_or_users_not_every_one_is_a_large_share() -> None:
    assert decide(POLICY, replace(LABELS, pending_labels=1), now=65) == Wait(Hold.THRESHOLD, until=150)
    assert decide(POLICY, replace(LABELS, pending_labels=1, known_users=0), now=65) == Wait(Hold.THRESHOLD, until=150)
    assert decide(POLICY, replace(BUSY, pending_users=1, known_labels=100), now=65) == Wait(Hold.THRESHOLD, until=150)


def test_labels_alone_start_no_first_version() -> None:
    waiting = replace(NEW, pending_labels=50, oldest_change=1.0, newest_change=1.0)
    assert decide(POLICY, waiting, now=0) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)
    assert decide(POLICY, replace(waiting, last_cycle_end=0.0), now=500) == Wait(Hold.LABELS_ALONE)
    user = replace(waiting, last_cycle_end=0.0, pending_users=1)
    assert decide(POLICY, user, now=500) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)


def test_the_first_cycle_starts_by_itself_and_only_once() -> None:
    assert decide(POLICY, NEW, now=0) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)
    assert decide(POLICY, replace(NEW, last_cycle_end=0.0), now=30) == Wait(Hold.NOTHING)
    # A feature store that was away is no reason never to start.
    failed = replace(NEW, last_cycle_end=0.0, last_cycle_failed=True)
    assert decide(POLICY, failed, now=19) == Wait(Hold.FAILED, until=20)
    assert decide(POLICY, failed, now=20) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)
    again = replace(NEW, last_cycle_end=0.0, pending_users=1, oldest_change=1.0, newest_change=1.0)
    assert decide(POLICY, again, now=30) == Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)


def test_a_backlog_is_read_before_anything_is_claimed() -> None:
    assert decide(POLICY, replace(NEW, caught_up=False), now=0) == Wait(Hold.CATCHING_UP)
    assert decide(POLICY, replace(BUSY, caught_up=False), now=500) == Wait(Hold.CATCHING_UP)


def test_an_operator_does_not_wait_until_all_is_read_unless_there_is_nothing_to_learn_before() -> None:
    """It may never be: the broker of one instance is away for good, or a backlog takes hours."""
    behind = replace(BUSY, caught_up=False)
    for kind in (CycleKind.FULL, CycleKind.INCREMENTAL):
        assert decide(POLICY, replace(behind, asked=kind), now=500) == Start(Reason.OPERATOR, kind)
    nothing = replace(NEW, has_champion=True, caught_up=False)
    assert decide(POLICY, replace(nothing, asked=CycleKind.FULL), now=0) == Start(Reason.OPERATOR, CycleKind.FULL)
    assert decide(POLICY, replace(nothing, asked=CycleKind.BACKFILL), now=0) == Start(Reason.REPLAY, CycleKind.BACKFILL)
    assert decide(POLICY, replace(nothing, asked=CycleKind.INCREMENTAL), now=0) == Wait(Hold.CATCHING_UP)
    assert decide(POLICY, replace(nothing, caught_up=True, others_caught_up=False, asked=CycleKind.INCREMENTAL), 0) == (
        Wait(Hold.OTHERS_CATCHING_UP)
    )
    labels = replace(nothing, asked=CycleKind.INCREMENTAL, pending_labels=1)
    assert decide(POLICY, labels, now=0) == Start(Reason.OPERATOR)
    tried = replace(nothing, asked=CycleKind.INCREMENTAL, given_back=1)  # by a cycle that was held, say
    assert decide(POLICY, tried, now=0) == Start(Reason.OPERATOR)


def test_who_has_to_read_on_is_told() -> None:
    """`the listener has not caught up` stood beside `lag 0`: it was another instance's."""
    assert decide(POLICY, replace(BUSY, others_caught_up=False), now=500) == Wait(Hold.OTHERS_CATCHING_UP)
    assert decide(POLICY, replace(BUSY, caught_up=False, others_caught_up=False), now=500) == Wait(Hold.CATCHING_UP)


def test_a_full_retrain_that_waits_for_the_last_one_is_told() -> None:
    """`asked for, and starts by itself` stood there for a day."""
    policy = POLICY.model_copy(update={"drift_interval": 1000, "max_full_per_day": 1})
    drifted = replace(NEW, has_champion=True, last_cycle_end=50.0, last_full_end=50.0, drifted=True)
    assert full_waits(policy, drifted, now=70) == (Reason.DRIFT, Wait(Hold.DRIFT_INTERVAL, until=1050))
    assert full_waits(policy, drifted, now=1050) is None
    refused = replace(drifted, full_ends=(50.0,))
    assert full_waits(policy, refused, now=70) == (Reason.DRIFT, Wait(Hold.CEILING, until=86450))
    rejected = replace(drifted, rejections_in_a_row=3)
    assert full_waits(policy, rejected, now=70) is None  # the next that would start a cycle starts this one


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


def test_a_held_cycle_is_not_repeated_until_something_new_is_known() -> None:
    held = TriggerState(
        pending_users=0, known_users=9, oldest_change=None, newest_change=None, last_cycle_end=60.0, held_in_a_row=1
    )
    assert decide(POLICY, held, now=79) == Wait(Hold.HELD, until=80)
    assert decide(POLICY, held, now=10_000) == Wait(Hold.NOTHING)
    assert decide(POLICY, replace(held, asked=CycleKind.INCREMENTAL), now=61) == Start(Reason.OPERATOR)
    new = replace(held, pending_users=10, oldest_change=61, newest_change=62)
    assert decide(POLICY, new, now=79) == Wait(Hold.HELD, until=80)
    assert decide(POLICY, new, now=80) == Start(Reason.COUNT)


def test_a_stream_that_stays_corrupt_is_tried_ever_later_up_to_the_longest_wait() -> None:
    waits = []
    for row in range(1, 7):
        match decide(POLICY, replace(BUSY, last_cycle_end=1000.0, held_in_a_row=row), now=1000):
            case Wait(hold=Hold.HELD, until=until) if until is not None:
                waits.append(until - 1000)
    assert waits == [20, 40, 80, 100, 100, 100]
    hurried = TriggerPolicy(min_interval=0, quiet_period=0, max_staleness=0)
    assert decide(hurried, replace(BUSY, last_cycle_end=1000.0, held_in_a_row=1), now=1000) == Wait(Hold.HELD, 1001)
    assert decide(hurried, replace(BUSY, last_cycle_end=1000.0, held_in_a_row=9), now=1000) == Wait(Hold.HELD, 1256)
    endless = replace(BUSY, last_cycle_end=1000.0, held_in_a_row=10**6)
    assert decide(TriggerPolicy(max_backoff=1e9), endless, now=1000) == Wait(Hold.HELD, 1000 + 1e9)


def test_data_that_are_held_are_not_what_everything_is_trained_on() -> None:
    held = replace(
        BUSY, last_cycle_end=0.0, held_in_a_row=1, rejections_in_a_row=3, drifted=True, full_retrain_due=True
    )
    assert decide(POLICY, held, now=100) == Start(Reason.COUNT)
    assert decide(POLICY, replace(held, asked=CycleKind.FULL), now=1) == Start(Reason.OPERATOR, CycleKind.FULL)
    assert decide(POLICY, replace(held, held_asks_full=True), now=100) == Start(Reason.DRIFT, CycleKind.FULL)
    by_hand = POLICY.model_copy(update={"full_on_drift": False})
    assert decide(by_hand, replace(held, held_asks_full=True), now=100) == Start(Reason.COUNT)


def test_a_space_that_has_drifted_is_made_anew_at_most_once_in_an_interval() -> None:
    policy = POLICY.model_copy(update={"drift_interval": 1000})
    drifted = replace(NEW, has_champion=True, last_cycle_end=50.0, drifted=True)
    assert decide(policy, drifted, now=69) == Wait(Hold.INTERVAL, until=70)
    assert decide(policy, drifted, now=70) == Start(Reason.DRIFT, CycleKind.FULL)
    again = replace(drifted, last_full_end=50.0)  # refused perhaps: the next cycle may ask again
    assert decide(policy, again, now=1049) == Wait(Hold.NOTHING)
    assert decide(policy, again, now=1050) == Start(Reason.DRIFT, CycleKind.FULL)
    by_hand = policy.model_copy(update={"full_on_drift": False})
    assert decide(by_hand, drifted, now=70) == Wait(Hold.NOTHING)
    assert decide(policy, replace(drifted, has_champion=False), now=70) == Wait(Hold.NOTHING)


def free_at(state: TriggerState) -> float:
    """When the interval since the last cycle is over."""
    if state.last_cycle_end is None:
        return 0.0
    doubled = 2.0 ** max(0, state.held_in_a_row - 1, state.rejections_in_a_row - 1)
    return state.last_cycle_end + min(POLICY.min_interval * doubled, POLICY.max_backoff)


@given(states, times)
def test_no_change_waits_longer_than_its_limits(state: TriggerState, now: float) -> None:
    assert state.oldest_change is not None
    overdue = max(state.oldest_change + POLICY.max_staleness, free_at(state))
    if now >= overdue:
        assert isinstance(decide(POLICY, state, now), Start)


@given(states, times)
def test_no_cycle_starts_before_the_interval_is_over(state: TriggerState, now: float) -> None:
    if now < (free := free_at(state)):
        found = decide(POLICY, state, now)
        assert isinstance(found, Wait)
        assert found.until == free
        assert (found.hold is Hold.HELD) == (state.held_in_a_row > 0)


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


ASKING = POLICY.model_copy(update={"regret": 0.02, "probe_changes": 4, "probe_interval": 30.0})
FEW = replace(BUSY, pending_users=3, pending_labels=1, known_labels=1000)


def test_below_the_thresholds_the_champion_is_asked_once_enough_has_changed() -> None:
    assert decide(POLICY, FEW, now=65) == Wait(Hold.THRESHOLD, until=150)
    assert decide(ASKING, FEW, now=64) == Wait(Hold.QUIET, until=65)
    assert decide(ASKING, FEW, now=65) == Probe()
    assert decide(ASKING, replace(FEW, pending_labels=0), now=65) == Wait(Hold.THRESHOLD, until=150)
    assert decide(ASKING, replace(FEW, probing=True), now=65) == Wait(Hold.PROBING)
    asked = replace(FEW, probing=True, asked=CycleKind.INCREMENTAL)
    assert decide(ASKING, asked, now=65) == Start(Reason.OPERATOR)  # `train` gives up sooner than a probe that hangs
    assert decide(ASKING, replace(FEW, held_in_a_row=1), now=65) == Wait(Hold.THRESHOLD, until=150)


def test_a_cycle_starts_when_more_is_lost_than_is_allowed() -> None:
    probed = replace(FEW, probed_at=65.0, probed_changes=4)
    assert decide(ASKING, replace(probed, regret=0.021), now=66) == Start(Reason.REGRET)
    assert decide(ASKING, replace(probed, regret=0.02), now=66) == Wait(Hold.THRESHOLD, until=150)
    assert decide(ASKING, replace(probed, regret=None), now=66) == Wait(Hold.THRESHOLD, until=150)
    assert decide(ASKING, replace(probed, regret=0.0), now=150) == Start(Reason.STALENESS)
    assert decide(ASKING, replace(probed, regret=0.0, pending_users=10), now=66) == Start(Reason.COUNT)


def test_the_champion_is_asked_again_about_what_came_since_and_not_too_often() -> None:
    more = replace(FEW, pending_users=7, probed_at=65.0, probed_changes=4, regret=0.0)
    assert decide(ASKING, more, now=70) == Wait(Hold.THRESHOLD, until=95)
    assert decide(ASKING, more, now=95) == Probe()
    assert decide(ASKING, replace(more, pending_users=6), now=95) == Wait(Hold.THRESHOLD, until=150)


@given(states, times, st.none() | st.floats(-1, 1), st.none() | times, st.integers(0, 60))
def test_probes_keep_no_change_waiting_beyond_its_limits(
    state: TriggerState, now: float, regret: float | None, probed_at: float | None, probed: int
) -> None:
    asked = replace(state, regret=regret, probed_at=probed_at, probed_changes=probed)
    told, plain = decide(ASKING, asked, now), decide(POLICY, state, now)
    if isinstance(plain, Start):
        assert told == plain
    assert state.oldest_change is not None
    if now >= max(state.oldest_change + POLICY.max_staleness, free_at(state)):
        assert isinstance(told, Start)


def test_settling_without_training_needs_a_limit() -> None:
    with pytest.raises(ValidationError, match="settle_unchanged needs regret"):
        TriggerPolicy(settle_unchanged=True)


def test_after_a_full_retrain_that_failed_changes_go_first_and_that_is_told() -> None:
    """The schedule's had been tried again and again, and nothing was learned meanwhile."""
    failed = replace(
        BUSY, full_retrain_due=True, last_cycle_end=100.0, last_cycle_failed=True, last_full_end=100.0, failed_fulls=1
    )
    assert decide(POLICY, failed, now=119) == Wait(Hold.FAILED, until=120)
    assert decide(POLICY, failed, now=120) == Start(Reason.COUNT)
    assert full_waits(POLICY, failed, now=120) == (Reason.SCHEDULE, Wait(Hold.FULL_FAILED, until=140))
    assert decide(POLICY, failed, now=140) == Start(Reason.SCHEDULE, CycleKind.FULL)
    quiet = replace(failed, pending_users=0, oldest_change=None, newest_change=None)
    assert decide(POLICY, quiet, now=139) == Wait(Hold.NOTHING)
    assert decide(POLICY, quiet, now=140) == Start(Reason.SCHEDULE, CycleKind.FULL)
    rejected = replace(failed, full_retrain_due=False, rejections_in_a_row=3, failed_fulls=4)
    assert decide(POLICY, rejected, now=200) == Start(Reason.STALENESS)
    assert decide(POLICY, rejected, now=300) == Start(Reason.REJECTIONS, CycleKind.FULL)


@given(state=states, now=times)
def test_while_a_person_has_paused_cycles_nothing_starts_whoever_asks(state: TriggerState, now: float) -> None:
    for asked in (None, *CycleKind):
        paused = replace(state, paused=True, asked=asked, full_retrain_due=True)
        assert decide(POLICY, paused, now) == Wait(Hold.PAUSED)
        assert full_waits(POLICY, paused, now) is None
    assert decide(POLICY, replace(BUSY, paused=True, cycle_running=True), now) == Wait(Hold.RUNNING)
