"""When to retrain: a pure decision over the ledger's state and the time.

The policy is what an operator configures; the state is what ledger and listener know; `decide` relates the two. Nothing
here reads a clock, a database or a broker, so every rule can be tested with plain numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Frozen
from schemas.cycle import CycleKind

Seconds = Annotated[float, Field(ge=0)]


class Reason(StrEnum):
    """Why a cycle starts; recorded with the cycle."""

    BOOTSTRAP = "no version yet"
    OPERATOR = "operator asked"
    REPLAY = "events were replayed"
    REJECTIONS = "too many rejections in a row"
    SCHEDULE = "full retrain is due"
    STALENESS = "oldest pending change is too old"
    COUNT = "enough users changed"
    SHARE = "large enough share of users changed"


class Hold(StrEnum):
    """Why no cycle starts yet; shown to the operator."""

    ELSEWHERE = "another instance runs cycles"
    RUNNING = "a cycle is running"
    CATCHING_UP = "the listener has not caught up with the topic yet"
    NOTHING = "nothing is pending"
    INTERVAL = "too soon after the last cycle"
    QUIET = "changes are still arriving"
    THRESHOLD = "too few users changed"


class TriggerPolicy(Frozen):
    """Rules for starting a cycle. Durations are seconds."""

    changed_users: Annotated[int, Field(ge=1)] = 500
    changed_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    max_staleness: Seconds = 3600.0
    quiet_period: Seconds = 30.0
    min_interval: Seconds = 300.0
    max_rejections: Annotated[int, Field(ge=1)] = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerState:
    """What is known. Times are seconds since the epoch; None where it never happened.

    Pending here means changed and not yet tried by any cycle: users given back by a rejected cycle ride along with
    the next one but do not start it, so a rejection is not repeated until something new is known.
    """

    pending_users: int
    known_users: int
    oldest_change: float | None
    newest_change: float | None
    last_cycle_end: float | None
    last_cycle_failed: bool = False
    """Whether it ended for a reason that has nothing to do with what it learned, so that trying again may help."""
    has_champion: bool = True
    rejections_in_a_row: int = 0
    cycle_running: bool = False
    caught_up: bool = True
    """Whether the listener has read all that the topic held when its partitions were assigned."""
    asked: CycleKind | None = None
    """What an operator asked for."""
    full_retrain_due: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Start a cycle of this kind now."""

    reason: Reason
    kind: CycleKind = CycleKind.INCREMENTAL


@dataclass(frozen=True, slots=True)
class Wait:
    """Start nothing; `until` is when to look again even if no event arrives, None for only on an event."""

    hold: Hold
    until: float | None = None


def decide(policy: TriggerPolicy, state: TriggerState, now: float) -> Start | Wait:
    """Whether to start a cycle at `now`, of which kind, and why.

    A running cycle and a listener that is still catching up outrank everything: a claim made earlier would cut a
    backlog in two. An operator outranks the rest, `min_interval` all rules but that. Otherwise a change waits at most
    `max_staleness`: after that neither the quiet period nor the thresholds hold it back.
    """
    if state.cycle_running:
        return Wait(Hold.RUNNING)
    if not state.caught_up:
        return Wait(Hold.CATCHING_UP)
    if state.asked is not None:
        reason = Reason.REPLAY if state.asked is CycleKind.BACKFILL else Reason.OPERATOR
        return Start(reason, state.asked if state.has_champion else CycleKind.BOOTSTRAP)
    if state.last_cycle_end is not None and now < (free := state.last_cycle_end + policy.min_interval):
        return Wait(Hold.INTERVAL, until=free)
    if state.full_retrain_due and state.has_champion:
        return Start(Reason.SCHEDULE, CycleKind.FULL)
    return _by_changes(policy, state, now)


def _by_changes(policy: TriggerPolicy, state: TriggerState, now: float) -> Start | Wait:
    if state.pending_users == 0 or state.oldest_change is None or state.newest_change is None:
        first = not state.has_champion and (state.last_cycle_end is None or state.last_cycle_failed)
        return Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP) if first else Wait(Hold.NOTHING)

    stale_at = state.oldest_change + policy.max_staleness
    quiet_at = state.newest_change + policy.quiet_period
    if now < min(quiet_at, stale_at):
        return Wait(Hold.QUIET, until=min(quiet_at, stale_at))
    if not state.has_champion:
        return Start(Reason.BOOTSTRAP, CycleKind.BOOTSTRAP)
    if state.rejections_in_a_row >= policy.max_rejections:
        return Start(Reason.REJECTIONS, CycleKind.FULL)
    if now >= stale_at:
        return Start(Reason.STALENESS)
    if state.pending_users >= policy.changed_users:
        return Start(Reason.COUNT)
    if state.pending_users >= policy.changed_share * state.known_users:
        return Start(Reason.SHARE)
    return Wait(Hold.THRESHOLD, until=stale_at)
