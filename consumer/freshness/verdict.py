"""The verdict on the freshness promise: is it kept, at risk or broken, and what would keep it.

Nothing here reads a clock or a ledger: the facts are handed in, with the time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


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

    def as_json(self) -> dict[str, Any]:
        """The verdict as `retrainer status --json` has it."""
        return asdict(self)
