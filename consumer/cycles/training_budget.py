"""The training budget: how long cycles have run in the last 24 hours, and when there is room again."""

from __future__ import annotations

from collections.abc import Iterable

from consumer.ledger.watching.training import DAY, Ran
from schemas.times.quiet_hours import Span

_LEAST = 1.0
"""Seconds that have to be left of a budget for a cycle to start."""


def at_work(ran: Iterable[Ran], longest: float, now: float) -> list[Span]:
    """When trainers were at work.

    Args:
        ran: the cycles.
        longest: how long an attempt may take: a cycle that waited for its service to come back was not at work.
        now: the end of those that run.
    """
    found = []
    for one in ran:
        end = now if one.end is None else one.end
        found.append(Span(one.begin, min(max(end, one.begin), one.begin + one.attempts * longest)))
    return found


def spent(work: Iterable[Span], now: float) -> float:
    """Seconds of work in the 24 hours before `now`."""
    return sum(max(0.0, min(span.end, now) - max(span.begin, now - DAY)) for span in work)


def used_up_until(work: Iterable[Span], budget: float, now: float) -> float | None:
    """When work of the last 24 hours has aged enough for a cycle to start; None where there is room now.

    Args:
        work: when trainers were at work; one cycle runs at a time, so none overlap.
        budget: the most seconds of work in 24 hours.
        now: seconds since the epoch, as all times.
    """
    too_much = spent(work := sorted(work), now) - budget + min(_LEAST, budget / 2)
    if too_much <= 0:
        return None
    for span in work:
        begin, end = max(span.begin, now - DAY), min(span.end, now)
        if end - begin >= too_much:
            return begin + too_much + DAY
        too_much -= max(0.0, end - begin)
    return None
