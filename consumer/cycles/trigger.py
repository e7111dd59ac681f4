"""When to retrain: a pure decision over the ledger's state and the time.

The policy is what an operator configures; the state is what ledger and listener know; `decide` relates the two. Nothing
here reads a clock, a database or a broker, so every rule can be tested with plain numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from schemas.base import Frozen
from schemas.cycle import CycleKind

Seconds = Annotated[float, Field(ge=0)]

_LEAST_AFTER_HELD = 1.0  # seconds, also where no interval is kept
_DOUBLINGS = 30  # more would say no more


class Reason(StrEnum):
    """Why a cycle starts; recorded with the cycle."""

    BOOTSTRAP = "no version yet"
    OPERATOR = "operator asked"
    REPLAY = "events were replayed"
    REJECTIONS = "too many rejections in a row"
    SCHEDULE = "full retrain is due"
    DRIFT = "the space has drifted"
    STALENESS = "oldest pending change is too old"
    COUNT = "enough users changed"
    SHARE = "large enough share of users changed"
    REGRET = "the champion has lost too much on what is pending"
    LABEL_COUNT = "enough labels changed"
    LABEL_SHARE = "large enough share of labels changed"


class Hold(StrEnum):
    """Why no cycle starts yet; shown to the operator."""

    ELSEWHERE = "another instance runs cycles"
    RUNNING = "a cycle is running"
    PROBING = "the champion is being asked about what is pending"
    CATCHING_UP = "the listener has not caught up with the topic yet"
    NOTHING = "nothing is pending"
    INTERVAL = "too soon after the last cycle"
    HELD = "the last cycle was held; new changes are tried again later"
    QUIET = "changes are still arriving"
    THRESHOLD = "too little has changed"


class TriggerPolicy(Frozen):
    """Rules for starting a cycle. Durations are seconds."""

    changed_users: Annotated[int, Field(ge=1)] = 500
    changed_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    changed_labels: Annotated[int, Field(ge=1)] = 500
    changed_label_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    max_staleness: Seconds = 3600.0
    quiet_period: Seconds = 30.0
    min_interval: Seconds = 300.0
    max_rejections: Annotated[int, Field(ge=1)] = 3
    full_on_drift: bool = True
    """Train from scratch when a cycle asks for it; if not, `status` says that one does."""
    drift_interval: Seconds = 86400.0
    """Between the end of a full retrain and one that a cycle asks for."""
    regret: Annotated[float, Field(ge=0, le=1)] | None = None
    """Start, before any threshold is reached, when the champion has lost more than this on what is pending, against its
    own exam: of the figures of the objective the one that sank most, less its standard error. None asks no champion."""
    probe_changes: Annotated[int, Field(ge=1)] = 50
    """Users and labels that have to be pending, or more than at the last probe, before the champion is asked."""
    probe_interval: Seconds = 60.0
    """Between two probes."""
    settle_unchanged: bool = False
    """Settle as unchanged, without training, what a threshold starts a cycle for, where no more than `regret` is lost.
    """

    @model_validator(mode="after")
    def _settles_by_a_limit(self) -> Self:
        if self.settle_unchanged and self.regret is None:
            raise ValueError("settle_unchanged needs regret, the loss up to which nothing is trained; 0 for none")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerState:
    """What is known. Times are seconds since the epoch; None where it never happened.

    Pending here means changed and not yet tried by any cycle: what a rejected or held cycle gave back rides along with
    the next one but does not start it, so neither is repeated until something new is known. `oldest_change` and
    `newest_change` are those of users and labels together.
    """

    pending_users: int
    known_users: int
    pending_labels: int = 0
    known_labels: int = 0
    oldest_change: float | None
    newest_change: float | None
    last_cycle_end: float | None
    last_cycle_failed: bool = False
    """Whether it ended for a reason that has nothing to do with what it learned, so that trying again may help."""
    has_champion: bool = True
    rejections_in_a_row: int = 0
    held_in_a_row: int = 0
    """How many cycles were held one after another up to now; somebody has to look."""
    held_asks_full: bool = False
    """Whether the last of them asked for a full retrain: it knows that one is the way out."""
    cycle_running: bool = False
    caught_up: bool = True
    """Whether the listener has read all that the topic held when its partitions were assigned."""
    asked: CycleKind | None = None
    """What an operator asked for."""
    full_retrain_due: bool = False
    drifted: bool = False
    """Whether a cycle asked for a full retrain, and none has ended since."""
    last_full_end: float | None = None
    """When the last full retrain ended, however it did."""
    probing: bool = False
    probed_at: float | None = None
    """When the present champion was last asked about what is pending, since the last cycle ended."""
    probed_changes: int = 0
    """How many users and labels were pending then."""
    regret: float | None = None
    """What it had lost, less the error of the figure; None where that could not be told."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start a cycle of this kind now."""

    reason: Reason
    kind: CycleKind = CycleKind.INCREMENTAL


@dataclass(frozen=True, slots=True)
class Probe:
    """Ask the champion about what is pending; nothing is claimed."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Start nothing; `until` is when to look again even if no event arrives, None for only on an event."""

    hold: Hold
    until: float | None = None


def decide(policy: TriggerPolicy, state: TriggerState, now: float) -> Start | Probe | Wait:
    """Whether to start a cycle at `now`, of which kind, and why; or to ask the champion first.

    A running cycle outranks everything, an operator all but that. A listener that is still catching up outranks the
    rest, as a claim made earlier would cut a backlog in two, and `min_interval` whatever is left then. Otherwise a
    change waits at most `max_staleness`: after that neither the quiet period nor the thresholds hold it back.

    After a cycle that was held, new changes are tried ever later, and nothing from scratch starts by itself unless that
    cycle asked for it: data that are not believed must not become the whole of what a model knows.
    """
    if state.cycle_running:
        return Wait(Hold.RUNNING)
    if state.probing:  # it takes seconds, and trainers work one at a time
        return Wait(Hold.PROBING)
    if state.asked is not None and (state.caught_up or not _in_vain(state.asked, state)):
        reason = Reason.REPLAY if state.asked is CycleKind.BACKFILL else Reason.OPERATOR
        return Start(reason, state.asked if state.has_champion else CycleKind.BOOTSTRAP)
    if not state.caught_up:
        return Wait(Hold.CATCHING_UP)
    held = state.held_in_a_row > 0
    if state.last_cycle_end is not None and now < (free := state.last_cycle_end + _interval(policy, state)):
        return Wait(Hold.HELD if held else Hold.INTERVAL, until=free)
    if state.full_retrain_due and state.has_champion and not held:
        return Start(Reason.SCHEDULE, CycleKind.FULL)
    if _drift_is_met(policy, state, now):
        return Start(Reason.DRIFT, CycleKind.FULL)
    return _by_changes(policy, state, now)


def _in_vain(asked: CycleKind, state: TriggerState) -> bool:
    """Whether there is nothing to learn yet of what was asked for, which is dropped where all is read."""
    return asked is CycleKind.INCREMENTAL and state.pending_users == 0 and state.pending_labels == 0


def _interval(policy: TriggerPolicy, state: TriggerState) -> float:
    """How long after the last cycle the next may start: after each that was held, twice as long."""
    if state.held_in_a_row == 0:
        return policy.min_interval
    first = max(policy.min_interval, policy.quiet_period, _LEAST_AFTER_HELD)
    most = max(policy.min_interval, policy.max_staleness, _LEAST_AFTER_HELD)
    return min(first * 2.0 ** min(state.held_in_a_row - 1, _DOUBLINGS), most)


def _drift_is_met(policy: TriggerPolicy, state: TriggerState, now: float) -> bool:
    """Whether a full retrain that a cycle asked for starts; not soon after another, whatever came of that."""
    asked = state.drifted and (state.held_in_a_row == 0 or state.held_asks_full)
    again = state.last_full_end is None or now >= state.last_full_end + policy.drift_interval
    return state.has_champion and policy.full_on_drift and asked and again


def _by_changes(policy: TriggerPolicy, state: TriggerState, now: float) -> Start | Probe | Wait:
    nothing = state.pending_users == 0 and (state.pending_labels == 0 or not state.has_champion)
    if nothing or state.oldest_change is None or state.newest_change is None:
        first = not state.has_champion and (state.last_cycle_end is None or state.last_cycle_failed)
        return Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP) if first else Wait(Hold.NOTHING)

    stale_at = state.oldest_change + policy.max_staleness
    quiet_at = state.newest_change + policy.quiet_period
    if now < min(quiet_at, stale_at):
        return Wait(Hold.QUIET, until=min(quiet_at, stale_at))
    if not state.has_champion:
        return Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)
    if state.rejections_in_a_row >= policy.max_rejections and state.held_in_a_row == 0:
        return Start(Reason.REJECTIONS, CycleKind.FULL)
    if now >= stale_at:
        return Start(Reason.STALENESS)
    if (reason := _enough(policy, state)) is not None:
        return Start(reason)
    return _by_regret(policy, state, now, stale_at)


def _by_regret(policy: TriggerPolicy, state: TriggerState, now: float, stale_at: float) -> Start | Probe | Wait:
    """Below all thresholds it counts what the champion has lost; after a held cycle nobody asks, as nobody trains."""
    if policy.regret is None or state.held_in_a_row > 0:
        return Wait(Hold.THRESHOLD, until=stale_at)
    if state.regret is not None and state.regret > policy.regret:
        return Start(Reason.REGRET)
    new = state.pending_users + state.pending_labels - state.probed_changes
    if new < policy.probe_changes:
        return Wait(Hold.THRESHOLD, until=stale_at)
    if state.probed_at is not None and now < (again := state.probed_at + policy.probe_interval):
        return Wait(Hold.THRESHOLD, until=min(again, stale_at))
    return Probe()


def _enough(policy: TriggerPolicy, state: TriggerState) -> Reason | None:
    """Which threshold is met; None where none is."""
    users, labels = state.pending_users, state.pending_labels
    if users >= policy.changed_users:
        return Reason.COUNT
    if users > 0 and users >= policy.changed_share * state.known_users:
        return Reason.SHARE
    if labels >= policy.changed_labels:
        return Reason.LABEL_COUNT
    # A label group may begin empty: there each label would be a large share of those that are known.
    if state.known_labels > 0 and labels >= policy.changed_label_share * state.known_labels:
        return Reason.LABEL_SHARE
    return None
