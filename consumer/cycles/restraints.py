"""What keeps cycles from starting by themselves, whatever has changed: quiet hours and the training budget; and when
one has to start so that the freshness promise is kept."""

from __future__ import annotations

from collections.abc import Sequence

from consumer.cycles.trigger_terms import Hold, Probe, Start, TriggerState, Wait
from schemas.times.quiet_hours import Span, quiet_until

_OF_REST = {Hold.NOTHING, Hold.LABELS_ALONE}
"""Waits for a change: nothing would start outside of quiet hours either."""

SPARE = 0.05
"""Of a promise, the share that is left for cycles that take longer than expected."""


def within_limits(state: TriggerState, found: Start | Probe | Wait, now: float) -> Start | Probe | Wait:
    """What becomes of a cycle or a probe that would start by itself: in quiet hours, and beyond the budget, it waits.

    Of several waits the longest counts, so that `until` says when a cycle may start indeed.
    """
    if isinstance(found, Wait) and found.hold in _OF_REST:
        return found
    waits = []
    if state.quiet_until is not None and now < (until := _end_of_quiet(state, state.quiet_until)):
        waits.append((until, Wait(Hold.QUIET_HOURS, until=until)))
    if state.budget_until is not None and now < state.budget_until:
        waits.append((state.budget_until, Wait(Hold.BUDGET, until=state.budget_until)))
    if not waits:
        return found
    until, wait = max(waits, key=lambda one: one[0])
    return found if isinstance(found, Wait) and found.until is not None and found.until > until else wait


def start_by(
    oldest: float, freshness: float, expected: float, quiet: Sequence[Span], *, outranks_quiet: bool = False
) -> float:
    """When a cycle has to start at the latest, so that a change is learned in time, with a little to spare.

    A start that would fall into quiet hours is brought forward: the cycle then ends before they begin, as a rule. Where
    a change came too late for that, it is due at once.

    Args:
        oldest: when the oldest change arrived.
        freshness: how long after that it has to be learned.
        expected: how long a cycle takes.
        quiet: quiet hours.
        outranks_quiet: whether a cycle may start in them for the promise.
    """
    due = oldest + max(0.0, freshness * (1 - SPARE) - expected)
    if not outranks_quiet and (span := next((one for one in quiet if one.begin <= due < one.end), None)) is not None:
        due = max(oldest, min(due, span.begin - expected))
    return due


def may_start_from(quiet: Sequence[Span], at: float) -> float:
    """The first moment from `at` on that is outside of quiet hours."""
    return at if (end := quiet_until(quiet, at)) is None else end


def _end_of_quiet(state: TriggerState, end: float) -> float:
    """The end of quiet hours, or an earlier moment at which the promise outranks them."""
    return min(end, state.start_by) if state.outranks_quiet and state.start_by is not None else end
