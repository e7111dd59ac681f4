"""The words of the trigger: why a cycle starts, why none does, and the state by which that is decided."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.cycle import CycleKind


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
    FRESHNESS = "the freshness promise needs a cycle now"


UNASKED_FROM_SCRATCH = (Reason.BOOTSTRAP, Reason.REJECTIONS, Reason.DRIFT)
"""Reasons of cycles from scratch that neither an operator nor the schedule has asked for."""


class Hold(StrEnum):
    """Why no cycle starts yet; shown to the operator."""

    TROUBLE = "ledger or disk cannot be used"
    ELSEWHERE = "another instance runs cycles"
    RUNNING = "a cycle is running"
    PAUSED = "a person has paused cycles"
    PROBING = "the champion is being asked about what is pending"
    CATCHING_UP = "the listener has not caught up with the topic yet"
    OTHERS_CATCHING_UP = "another instance has not caught up with the topic yet"
    NOTHING = "nothing new is pending"
    LABELS_ALONE = "labels alone make no first version"
    INTERVAL = "too soon after the last cycle"
    FRUITLESS = "the last cycles settled nothing; each time the next one waits longer"
    FAILED = "the last cycle failed; it is tried again later"
    HELD = "the last cycle was held; new changes are tried again later"
    FULL_FAILED = "the last full retrain failed; each time the next one waits longer"
    DRIFT_INTERVAL = "too soon after the last full retrain"
    REFUSED = "a model from scratch was refused; each time the next one waits longer"
    CEILING = "the most cycles from scratch of a day have run"
    QUIET = "changes are still arriving"
    THRESHOLD = "too little has changed"
    QUIET_HOURS = "quiet hours"
    BUDGET = "the training budget of 24 hours is used up"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerState:
    """What is known. All times are of one clock, and so is the time of the decision; None where it never happened.

    Pending here means changed and not yet tried by any cycle. What a rejected or held cycle gave back rides along with
    the next cycle and starts none, so a refusal is not repeated until something new is known. `oldest_change` and
    `newest_change` are of users and labels together, and are times of arrival here: the times that a producer gives
    its events decide nothing.
    """

    pending_users: int
    known_users: int
    pending_labels: int = 0
    given_back: int = 0
    """Users and labels that a cycle has tried and gave back: an operator may ask for them alone."""
    known_labels: int = 0
    oldest_change: float | None
    newest_change: float | None
    enough_since: float | None = None
    """Since when enough has changed for a cycle; None where too little has, or where the time is not known."""
    last_cycle_end: float | None
    last_cycle_failed: bool = False
    """Whether the last cycle failed for a reason other than what it learned, so that another try may help."""
    has_champion: bool = True
    fruitless_in_a_row: int = 0
    """Cycles since the last one that settled what it claimed, however they ended."""
    rejections_in_a_row: int = 0
    held_in_a_row: int = 0
    """How many cycles were held one after another up to now; a person has to look."""
    held_asks_full: bool = False
    """Whether the last of them asked for a full retrain, as its way out."""
    refused_from_scratch: int = 0
    """Cycles from scratch since the last one that settled what it claimed, whose model the gate did not take."""
    last_refused_from_scratch: float | None = None
    """When the last of them ended."""
    failed_fulls: int = 0
    """Full retrains that failed one after another up to now, whatever came of other cycles in between."""
    full_ends: tuple[float, ...] = ()
    """When the last cycles from scratch ended that nobody asked for and whose model was judged, the newest first; at
    least as many as a day may have."""
    cycle_running: bool = False
    paused: bool = False
    """Whether a person has paused cycles."""
    caught_up: bool = True
    """Whether the listener has read all that the topic held when its partitions were assigned."""
    others_caught_up: bool = True
    """The same of all other instances that read."""
    asked: CycleKind | None = None
    """What an operator asked for."""
    full_retrain_due: bool = False
    drifted: bool = False
    """Whether a cycle asked for a full retrain, and none has ended since."""
    last_full_end: float | None = None
    """When the last full retrain ended, in whatever way."""
    probing: bool = False
    probed_at: float | None = None
    """When the present champion was last asked about what is pending, since the last cycle ended."""
    probed_changes: int = 0
    """How many users and labels were pending then."""
    regret: float | None = None
    """What the champion had lost, less the error of the figure; None where there was no figure."""
    start_by: float | None = None
    """When a cycle has to start so that the freshness promise is kept; None where nothing is promised, or waits."""
    outranks_quiet: bool = False
    """Whether that holds in quiet hours, too."""
    quiet_until: float | None = None
    """Until when there are quiet hours; None where there are none now."""
    budget_until: float | None = None
    """Until when the training budget is used up; None where there is room."""


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
    """Start nothing; `until` is when to look again even if no event arrives; None waits for an event."""

    hold: Hold
    until: float | None = None
