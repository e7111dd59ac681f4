"""When to retrain: a pure decision over the ledger's state and the time.

The policy is what an operator configures; the state is what ledger and listener know; `decide` relates the two. Nothing
here reads a clock, a database or a broker, so every rule can be tested with plain numbers.
"""

from __future__ import annotations

from consumer.cycles.cycle_spacing import (
    wait_after_failed_full,
    wait_after_last_cycle,
    wait_before_drift_full,
    wait_before_scratch,
)
from consumer.cycles.restraints import within_limits
from consumer.cycles.trigger_terms import Hold, Probe, Reason, Start, TriggerState, Wait
from schemas.cycle import CycleKind
from schemas.policies import TriggerPolicy

__all__ = [
    "Hold",
    "Probe",
    "Reason",
    "Start",
    "TriggerPolicy",
    "TriggerState",
    "Wait",
    "decide",
    "enough",
    "full_waits",
]


def decide(policy: TriggerPolicy, state: TriggerState, now: float) -> Start | Probe | Wait:
    """Whether to start a cycle at `now`, of which kind, and why; or to ask the champion first.

    The rules are applied in this order. While a cycle runs, none starts. While a person has paused cycles, nothing
    starts, whoever asks; what was asked for waits. A request of an operator starts a cycle at
    once. While a listener catches up, no other cycle starts, as an earlier claim would cut a backlog in two. Then the
    wait after the last cycle has to be over. A change waits at most `max_staleness`, and no longer than the freshness
    promise allows: after that neither the quiet period nor the thresholds hold a cycle back. In quiet hours, and beyond
    the training budget, nothing starts by itself, neither cycle nor probe.

    After a cycle that settled nothing the next cycle waits ever longer. After a held cycle nothing from scratch starts
    by itself, unless the held cycle asked for a full retrain: data that are not believed must not become all that a
    model knows. While a full retrain has to wait, cycles on top of the champion go on, so a full retrain that always
    fails keeps no change from being learned.
    """
    if state.cycle_running:
        return Wait(Hold.RUNNING)
    if state.paused:
        return Wait(Hold.PAUSED)
    if state.asked is not None and (_all_is_read(state) or not _in_vain(state.asked, state)):
        reason = Reason.REPLAY if state.asked is CycleKind.BACKFILL else Reason.OPERATOR
        return Start(reason, state.asked if state.has_champion else CycleKind.BOOTSTRAP)
    if state.probing:  # it takes seconds, and trainers work one at a time
        return Wait(Hold.PROBING)
    if not state.caught_up:
        return Wait(Hold.CATCHING_UP)
    if not state.others_caught_up:
        return Wait(Hold.OTHERS_CATCHING_UP)
    return within_limits(state, _by_itself(policy, state, now), now)


def _by_itself(policy: TriggerPolicy, state: TriggerState, now: float) -> Start | Probe | Wait:
    """What nobody has asked for, but for the schedule."""
    if (wait := wait_after_last_cycle(policy, state, now)) is not None:
        return wait
    if _schedule_counts(state) and wait_after_failed_full(policy, state, now) is None:
        return Start(Reason.SCHEDULE, CycleKind.FULL)
    if _drift_is_met(policy, state, now):
        return Start(Reason.DRIFT, CycleKind.FULL)
    if not state.has_champion:
        return _first_version(policy, state, now)
    by_changes = _by_changes(policy, state, now)
    if isinstance(by_changes, Start) and _is_rejected_for_long(policy, state):
        return by_changes if wait_before_scratch(policy, state, now) else Start(Reason.REJECTIONS, CycleKind.FULL)
    return by_changes


def full_waits(policy: TriggerPolicy, state: TriggerState, now: float) -> tuple[Reason, Wait] | None:
    """Why a full retrain would start, and what holds it back while other cycles go on; None where nothing does."""
    if state.paused:
        return None
    rejected, wait = _is_rejected_for_long(policy, state), wait_before_scratch(policy, state, now)
    if not state.has_champion or (rejected and wait is None):
        return None
    if _schedule_counts(state) and (again := wait_after_failed_full(policy, state, now)) is not None:
        return Reason.SCHEDULE, again
    if _drift_counts(policy, state):
        longer = wait_before_drift_full(policy, state, now)
        return None if longer is None else (Reason.DRIFT, longer)
    return (Reason.REJECTIONS, wait) if rejected and wait is not None else None


def enough(policy: TriggerPolicy, state: TriggerState) -> Reason | None:
    """Which threshold is met; None where none is."""
    users, labels = state.pending_users, state.pending_labels
    if users >= policy.changed_users:
        return Reason.COUNT
    if users > 0 and users >= policy.changed_share * state.known_users:
        return Reason.SHARE
    if not state.has_champion:  # labels make no first version
        return None
    if labels >= policy.changed_labels:
        return Reason.LABEL_COUNT
    # A label group may begin empty: there each label would be a large share of those that are known.
    if state.known_labels > 0 and labels >= policy.changed_label_share * state.known_labels:
        return Reason.LABEL_SHARE
    return None


def _is_rejected_for_long(policy: TriggerPolicy, state: TriggerState) -> bool:
    return state.rejections_in_a_row >= policy.max_rejections and state.held_in_a_row == 0


def _all_is_read(state: TriggerState) -> bool:
    return state.caught_up and state.others_caught_up


def _in_vain(asked: CycleKind, state: TriggerState) -> bool:
    """Whether a request finds nothing to learn yet; where all is read, the request is dropped."""
    return asked is CycleKind.INCREMENTAL and state.pending_users == state.pending_labels == state.given_back == 0


def _drift_is_met(policy: TriggerPolicy, state: TriggerState, now: float) -> bool:
    """Whether a full retrain that a cycle asked for starts; not soon after another full retrain, however that ended."""
    return state.has_champion and _drift_counts(policy, state) and wait_before_drift_full(policy, state, now) is None


def _schedule_counts(state: TriggerState) -> bool:
    return state.full_retrain_due and state.has_champion and state.held_in_a_row == 0


def _drift_counts(policy: TriggerPolicy, state: TriggerState) -> bool:
    return policy.full_on_drift and state.drifted and (state.held_in_a_row == 0 or state.held_asks_full)


def _first_version(policy: TriggerPolicy, state: TriggerState, now: float) -> Start | Wait:
    """The first try starts promptly. A failed try is repeated whatever changes, a refused one when enough has changed
    for an ordinary cycle."""
    untried = state.last_cycle_end is None or state.last_cycle_failed
    if state.pending_users == 0 or state.oldest_change is None:
        if not untried:
            return Wait(Hold.LABELS_ALONE if state.pending_labels else Hold.NOTHING)
    elif (quiet := _noise(policy, state, now)) is not None:
        return quiet
    elif not untried and (wait := _below(policy, state, now)) is not None:
        return wait
    return wait_before_scratch(policy, state, now) or Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)


def _by_changes(policy: TriggerPolicy, state: TriggerState, now: float) -> Start | Probe | Wait:
    if state.pending_users == state.pending_labels == 0 or state.oldest_change is None:
        return Wait(Hold.NOTHING)
    if (quiet := _noise(policy, state, now)) is not None:
        return quiet
    if (below := _below(policy, state, now)) is not None:
        return _by_regret(policy, state, now, below)
    if now >= state.oldest_change + policy.max_staleness:
        return Start(Reason.STALENESS)
    return Start(enough(policy, state) or Reason.FRESHNESS)


def _due(policy: TriggerPolicy, state: TriggerState) -> float:
    """When the oldest change is to be learned, whatever else holds."""
    assert state.oldest_change is not None
    stale_at = state.oldest_change + policy.max_staleness
    return stale_at if state.start_by is None else min(stale_at, state.start_by)


def _noise(policy: TriggerPolicy, state: TriggerState, now: float) -> Wait | None:
    """The wait for quiet, while changes are still arriving: neither for long, nor until one is due."""
    assert state.oldest_change is not None
    newest = state.oldest_change if state.newest_change is None else state.newest_change
    begun = state.oldest_change if state.enough_since is None else state.enough_since
    until = min(
        newest + policy.quiet_period,
        begun + max(policy.max_quiet, policy.quiet_period),
        _due(policy, state),
    )
    return Wait(Hold.QUIET, until=until) if now < until else None


def _below(policy: TriggerPolicy, state: TriggerState, now: float) -> Wait | None:
    """The wait until the oldest change is due, where no threshold is met."""
    due = _due(policy, state)
    return None if now >= due or enough(policy, state) is not None else Wait(Hold.THRESHOLD, until=due)


def _by_regret(policy: TriggerPolicy, state: TriggerState, now: float, below: Wait) -> Start | Probe | Wait:
    """Below all thresholds the champion's loss decides; after a held cycle nothing trains, so nothing is probed."""
    if policy.regret is None or state.held_in_a_row > 0:
        return below
    if state.regret is not None and state.regret > policy.regret:
        return Start(Reason.REGRET)
    new = state.pending_users + state.pending_labels - state.probed_changes
    if new < policy.probe_changes:
        return below
    if state.probed_at is not None and now < (again := state.probed_at + policy.probe_interval):
        assert below.until is not None
        return Wait(Hold.THRESHOLD, until=min(again, below.until))
    return Probe()
