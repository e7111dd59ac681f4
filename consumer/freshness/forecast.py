"""When the champion will have learned what waits, as far as can be foreseen, and what stands in the way.

What is foreseen takes for granted that cycles register what they learn, and take as long as those before them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf

from consumer.cycles.restraints import may_start_from
from consumer.cycles.trigger_terms import Hold
from consumer.ledger.watching.unlearned import Waiting
from schemas.policies import TriggerPolicy
from schemas.times.durations import about
from schemas.times.quiet_hours import Span, zone_of

_PROMISE_MORE = "promise more by RETRAINER_SLO__FRESHNESS"
_SEE = "see `retrainer status`"
_ENDLESS = {Hold.PAUSED, Hold.TROUBLE, Hold.ELSEWHERE}
"""Waits whose end nobody can foresee."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is known of the next cycles. Times are seconds since the epoch."""

    waiting: Waiting
    runner: bool
    """Whether an instance runs cycles."""
    unable: str | None = None
    """Why that instance cannot read events, if it cannot."""
    hold: str | None = None
    """Why no cycle starts, as that instance says; None where one does, or runs."""
    hold_until: float | None = None
    """Until when; None where that depends on what happens."""
    expected: float | None = None
    """How many seconds a cycle takes; None before the first."""
    quiet: Sequence[Span] = ()
    """The quiet hours near now."""
    outranks_quiet: bool = False
    """Whether the promise outranks them."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """When some of what waits is learned."""

    oldest: float
    """When the oldest of it arrived."""
    learned_at: float
    """Infinite where nobody can tell."""
    why: str
    """What it waits for."""
    way_out: str


def foreseen(policy: TriggerPolicy, seen: Outlook, now: float) -> Iterator[Foreseen]:
    """What becomes of what a cycle works on, and of what is pending; nothing where the champion has learned all."""
    waiting, cycle = seen.waiting, seen.expected or 0.0
    ends = now if waiting.cycle_since is None else max(now, waiting.cycle_since + cycle)
    if waiting.claimed is not None and waiting.cycle_since is not None:
        yield _of_claimed(seen, waiting.claimed, waiting.cycle_since, ends, now)
    if waiting.pending is not None:
        yield _of_pending(policy, seen, waiting.pending, ends, now)


def _of_claimed(seen: Outlook, oldest: float, since: float, ends: float, now: float) -> Foreseen:
    if not seen.runner:
        return Foreseen(oldest, inf, "a cycle was cut short, and no service runs that resumes it", "`retrainer run`")
    works = f"a cycle works on it since {about(max(0.0, now - since))}"
    if seen.expected is None:
        return Foreseen(oldest, ends, f"{works}, the first one", "wait for its end")
    why = f"{works}, and such a cycle takes about {about(seen.expected)}"
    return Foreseen(oldest, ends, why, f"make cycles shorter, or {_PROMISE_MORE}, where this lasts")


def _of_pending(policy: TriggerPolicy, seen: Outlook, oldest: float, ends: float, now: float) -> Foreseen:
    runs = seen.waiting.cycle_since is not None
    if not seen.runner:
        return Foreseen(oldest, inf, "no service runs cycles", "start one by `retrainer run`")
    if seen.hold in _ENDLESS:
        return Foreseen(oldest, inf, *_words(policy, seen, None))
    if seen.waiting.untried is None:
        tried = f"{seen.waiting.tried} changes were tried by a cycle that registered nothing, and wait for a new one"
        return Foreseen(oldest, inf, tried, "`retrainer cycles` says why; `retrainer train` tries them at once")
    soonest = ends + policy.min_interval if runs else max(now, seen.hold_until or now)
    start = soonest if seen.outranks_quiet else may_start_from(seen.quiet, soonest)
    learned_at = start + (seen.expected or 0.0)
    if start > soonest:
        return Foreseen(oldest, learned_at, *_quiet(policy, seen, start))
    if runs:
        why = f"a cycle runs, and the next one starts {about(policy.min_interval)} after its end"
        return Foreseen(oldest, learned_at, why, f"lower RETRAINER_TRIGGER__MIN_INTERVAL, or {_PROMISE_MORE}")
    return Foreseen(oldest, learned_at, *_words(policy, seen, start))


def _words(policy: TriggerPolicy, seen: Outlook, start: float | None) -> tuple[str, str]:
    """Why no cycle starts, and what to do."""
    hold = seen.hold
    end = None if start is None or seen.hold_until is None else _clock(policy, start)
    until = f" until {end}" if end else ""
    if hold == Hold.PAUSED:
        return "a person has paused cycles", "`retrainer resume` lets them go on"
    if hold == Hold.QUIET_HOURS and start is not None:
        return _quiet(policy, seen, start)
    if hold == Hold.BUDGET:
        return (
            f"the training budget of {policy.training_minutes_a_day or 0:g} minutes in 24 hours is used up{until}",
            "raise RETRAINER_TRIGGER__TRAINING_MINUTES_A_DAY; `retrainer train` starts a cycle at once",
        )
    if hold == Hold.INTERVAL:
        why = f"cycles keep {about(policy.min_interval)} apart{_takes(seen)}"
        return why, f"lower RETRAINER_TRIGGER__MIN_INTERVAL, or {_PROMISE_MORE}"
    if hold in {Hold.HELD, Hold.FAILED, Hold.FRUITLESS, Hold.REFUSED}:
        next_try = f", not before {end}" if end else ""
        return f"{hold}{next_try}", f"{_SEE} and `retrainer cycles`; `retrainer train` tries at once"
    if hold is None or hold in {Hold.THRESHOLD, Hold.QUIET, Hold.PROBING, Hold.NOTHING, Hold.RUNNING}:
        return f"a cycle is about to start{_takes(seen)}", f"make cycles shorter, or {_PROMISE_MORE}, where this lasts"
    return hold, _SEE


def _quiet(policy: TriggerPolicy, seen: Outlook, end: float) -> tuple[str, str]:
    return (
        f"quiet hours last until {_clock(policy, end)}{_takes(seen)}",
        f"shorten RETRAINER_TRIGGER__QUIET_HOURS, set RETRAINER_SLO__OUTRANKS_QUIET_HOURS=true, or {_PROMISE_MORE}",
    )


def _takes(seen: Outlook) -> str:
    return "" if seen.expected is None else f", and a cycle takes about {about(seen.expected)}"


def _clock(policy: TriggerPolicy, at: float) -> str:
    """A moment as clocks of the quiet hours' zone show it."""
    zone = policy.quiet_hours_zone
    return f"{datetime.fromtimestamp(round(at), zone_of(zone)):%H:%M} {zone}"
