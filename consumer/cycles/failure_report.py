"""A report on a cycle that fails: how often it was tried, what went wrong last, and when it is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consumer.cycles.running import Activity
from consumer.ledger.efforts import Failed
from consumer.moments import in_utc


@dataclass(frozen=True, slots=True)
class FailureReport:
    """What fails. Times are seconds since the epoch."""

    cycle_id: str
    attempts: int
    """How many attempts have failed."""
    of: int
    """How often a cycle is tried before it is given up."""
    cycles_in_a_row: int
    """How many cycles were given up one after another; 0 where this one is the first and is not given up yet."""
    error: str
    """Why the last attempt failed."""
    at_work: bool
    """Whether the cycle is being tried again now."""
    next_try_at: float | None
    """When the cycle is tried again; None where that is now, or depends on what changes."""

    @property
    def in_words(self) -> str:
        """In a line."""
        if self.cycles_in_a_row > 1:
            who = f"{self.cycles_in_a_row} cycles in a row, the last {self.cycle_id}"
        else:
            who = self.cycle_id
        if self.at_work:
            following = "it is being tried again now"
        elif self.next_try_at is not None:
            following = f"next try at {in_utc(self.next_try_at)}"
        else:
            following = "the next cycle that starts tries again"
        error = " ".join(self.error.split()) or "nothing is known of why"
        return f"{who}: tried {self.attempts} of {self.of} times, last error: {error}; {following}"


def failure_now(
    cycle: Mapping[str, Any] | None, failed: Failed | None, attempts: int, next_at: float | None
) -> FailureReport | None:
    """What fails now; None where nothing does.

    Args:
        cycle: the cycle under way, as `Running.view` has it.
        failed: the newest cycle that ended, if it failed.
        attempts: how often a cycle is tried.
        next_at: until when no cycle starts, as far as that is known.
    """
    in_a_row = failed.in_a_row if failed else 0
    if cycle is not None and cycle.get("attempts"):
        tried, error = cycle["attempts"], cycle.get("last_error") or ""
        waits = cycle.get("next_try_at")
        at_work = waits is None and cycle.get("state") != Activity.TO_BE_RESUMED
        return FailureReport(cycle["cycle_id"], tried, attempts, in_a_row, error, at_work, waits)
    if failed is None:
        return None
    next_at = None if cycle is not None else next_at
    of, at_work = max(attempts, failed.attempts), cycle is not None
    return FailureReport(failed.cycle_id, failed.attempts, of, in_a_row, failed.reason, at_work, next_at)
