"""What the instance that runs cycles reports of them, corrected by what the ledger has by now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from consumer.cycles.failure_report import failure_now
from consumer.cycles.running import Activity
from consumer.ledger.efforts import Failed
from consumer.ledger.instances import Instance
from consumer.ledger.ledger import Ledger
from consumer.status import Status

LIVE = 15.0  # seconds; an instance reports every three


class RunnerReport:
    """The latest report on cycles, from whichever instance runs them.

    Args:
        here: the status of the service on this state folder; None where none runs.
        seen: the instances that reported within the last seconds.
    """

    def __init__(self, here: Status | None, seen: Sequence[Instance]) -> None:
        self._here = asdict(here) if here is not None and here.runs_cycles else None
        self._elsewhere = next((one for one in seen if one.state.get("runs_cycles")), None)

    @property
    def full_waits(self) -> dict[str, Any] | None:
        """The full retrain that has to wait."""
        found: dict[str, Any] | None = self._report.get("full_waits")
        return found

    def cycle(self, ledger: Ledger, ended: str | None) -> dict[str, Any] | None:
        """The cycle under way; `ended` is the id of the last cycle that has ended."""
        if self._here is not None:
            known: dict[str, Any] | None = self._here["cycle"]
            return None if known is None or known["cycle_id"] == ended else known
        running = ledger.views.running()
        if running is None:
            return None
        runs = self._elsewhere
        return {**running, "state": Activity.TO_BE_RESUMED if runs is None else f"run by {runs.name}"}

    def failing(self, cycle: dict[str, Any] | None, failed: Failed | None, attempts: int) -> dict[str, Any] | None:
        """What fails; as far as the ledger knows where no instance runs cycles.

        Args:
            cycle: the cycle under way.
            failed: the newest cycle that has ended, if it failed.
            attempts: how often a cycle is tried.
        """
        if self._report:
            said: dict[str, Any] | None = self._report.get("failing")
            return None if cycle is None and failed is None else said  # or a cycle has ended well since
        found = failure_now(cycle, failed, attempts, None)
        return asdict(found) if found else None

    @property
    def _report(self) -> dict[str, Any]:
        return self._here or (self._elsewhere.state if self._elsewhere is not None else {})
