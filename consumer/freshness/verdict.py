"""The verdict on the freshness promise: is it kept, at risk or broken, and what would keep it.

Nothing here reads a clock or a ledger: what is known is handed in, with the time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from math import floor, isinf
from typing import Any

from consumer.configuration.slo import SloSettings
from consumer.freshness.conflicts import conflicts
from consumer.freshness.forecast import Foreseen, Outlook, foreseen
from consumer.ledger.watching.kept import Kept
from schemas.policies import TriggerPolicy
from schemas.times.durations import about

WEEK_MINUTES = 7 * 24 * 60


class FreshnessState(StrEnum):
    """How it stands with the promise."""

    NONE = "none"
    """Nothing is promised."""
    KEPT = "kept"
    AT_RISK = "at_risk"
    """No change is too old yet, and one will be unless something happens."""
    BROKEN = "broken"
    """A change is too old."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How it stands with the freshness promise. Spans are seconds; shares lie between 0 and 1."""

    state: FreshnessState
    target: float | None = None
    """The promise: a change is learned at the latest so long after it arrived; None where nothing is promised."""
    oldest_age: float | None = None
    """Age of the oldest change that the champion has not learned; None where there is none."""
    learned_in: float | None = None
    """Seconds until that change is learned, as far as can be foreseen; None where there is none, or nobody can tell."""
    expected_cycle: float | None = None
    """How long a cycle is expected to take, by those that ended last; None before the first."""
    reason: str | None = None
    """Why the promise is broken or at risk, and the way out, in a sentence; None where it is kept."""
    objective: float | None = None
    """The share of minutes in which the promise is meant to be kept."""
    kept_day: float | None = None
    """Of the minutes of the last day that are known, the share in which it was kept; None where none is known."""
    kept_week: float | None = None
    """The same of the last seven days."""
    known_week: float | None = None
    """Share of the last seven days of which it is known whether the promise was kept."""
    error_budget_left: float | None = None
    """Of the minutes that may break the promise in seven days, the share that is left; below 0 once it is overdrawn."""
    conflicts: tuple[str, ...] = ()
    """Settings with which the promise cannot always be kept, or a budget is too small, each with the way out."""

    def as_json(self) -> dict[str, Any]:
        """The verdict as `retrainer status --json` has it."""
        return {**asdict(self), "state": self.state.value, "conflicts": list(self.conflicts)}

    @property
    def in_words(self) -> str:
        """The verdict for people, in a few lines."""
        return verdict_in_words(self.as_json())


def judge(slo: SloSettings, policy: TriggerPolicy, seen: Outlook, day: Kept, week: Kept, now: float) -> Verdict:
    """The verdict at `now`.

    What counts is every change that has arrived here and that the champion has not learned: pending, in a cycle under
    way, or tried by a cycle that registered nothing.

    Args:
        slo: what is promised.
        policy: by which cycles start.
        seen: what waits, and what is known of the next cycles.
        day: in how many minutes of the last 24 hours the promise was kept.
        week: the same of the last seven days.
        now: seconds since the epoch.
    """
    oldest = seen.waiting.oldest
    age = None if oldest is None else max(0.0, now - oldest)
    if (promised := slo.freshness) is None:
        clash = conflicts(slo, policy, seen.expected)
        return Verdict(state=FreshnessState.NONE, oldest_age=age, expected_cycle=seen.expected, conflicts=clash)
    ahead = list(foreseen(policy, seen, now))
    state, reason = _judged(seen, ahead, promised, age, now)
    first = min(ahead, key=lambda one: one.oldest, default=None)
    return Verdict(
        state=state,
        target=promised,
        oldest_age=age,
        learned_in=None if first is None or isinf(first.learned_at) else max(0.0, first.learned_at - now),
        expected_cycle=seen.expected,
        reason=reason,
        objective=slo.objective,
        kept_day=day.share,
        kept_week=week.share,
        known_week=min(1.0, week.minutes / WEEK_MINUTES),
        error_budget_left=1.0 - (week.minutes - week.kept) / ((1.0 - slo.objective) * WEEK_MINUTES),
        conflicts=conflicts(slo, policy, seen.expected),
    )


def _judged(
    seen: Outlook, ahead: list[Foreseen], promised: float, age: float | None, now: float
) -> tuple[FreshnessState, str | None]:
    """The state, and why."""
    worst = max(ahead, key=lambda one: one.learned_at - one.oldest, default=None)
    if worst is None or age is None:
        return _without_changes(seen)
    first = min(ahead, key=lambda one: one.oldest)
    if age > promised:
        told = f"the oldest change is {about(age)} old, and {about(promised)} are promised: {first.why}"
        return FreshnessState.BROKEN, f"{told}; {first.way_out}"
    if isinf(worst.learned_at):
        told = f"nobody can tell when a change of {about(max(0.0, now - worst.oldest))} ago is learned, and "
        return FreshnessState.AT_RISK, f"{told}{about(promised)} are promised: {worst.why}; {worst.way_out}"
    late = worst.learned_at - worst.oldest
    if late > promised + _tolerance(promised):
        told = f"a change will be about {about(late)} old when it is learned, and {about(promised)} are promised"
        return FreshnessState.AT_RISK, f"{told}: {worst.why}; {worst.way_out}"
    if seen.unable is not None:
        return _without_changes(seen)
    return FreshnessState.KEPT, None


def _without_changes(seen: Outlook) -> tuple[FreshnessState, str | None]:
    """The state where nothing waits, or what waits is learned in time: what has not arrived here may be late."""
    if not seen.runner:
        why = "no service runs cycles, so nothing that changes now is learned; start one by `retrainer run`"
        return FreshnessState.AT_RISK, why
    if seen.unable is not None:
        return FreshnessState.AT_RISK, f"events cannot be read, so their age is not known: {seen.unable}"
    return FreshnessState.KEPT, None


def _tolerance(promised: float) -> float:
    """How much later than promised a forecast may be that is taken for in time: a turn, and a hundredth."""
    return 1.0 + promised / 100


def verdict_in_words(found: dict[str, Any]) -> str:
    """What `Verdict.as_json` gave, for people, in a few lines."""
    if found["state"] == FreshnessState.NONE:
        return "\n".join(["nothing is promised (RETRAINER_SLO__FRESHNESS)", *found["conflicts"]])
    age, learned_in = found["oldest_age"], found["learned_in"]
    state = found["state"].replace("_", " ")
    if found["reason"]:
        lines = [f"{state}: {found['reason']}"]
    else:
        oldest = "everything is learned" if age is None else f"the oldest change is {about(age)} old"
        soon = "" if learned_in is None else f", and learned in about {about(learned_in)}"
        lines = [f"{state}: {about(found['target'])} are promised; {oldest}{soon}"]
    shares = [
        f"{_percent(share)} of the last {of}" if share is not None else None
        for share, of in ((found["kept_day"], "day"), (found["kept_week"], "7 days"))
    ]
    if told := ", ".join(filter(None, shares)):
        left = max(-9.99, found["error_budget_left"])
        lines.append(
            f"kept in {told} ({_percent(found['objective'])} is meant); {left:.0%} of the error budget is left"
        )
    return "\n".join([*lines, *(f"cannot always be kept: {one}" for one in found["conflicts"])])


def _percent(share: float) -> str:
    """Never rounded up: 100 % means all."""
    return f"{floor(share * 10_000 + 1e-9) / 100:g} %"
