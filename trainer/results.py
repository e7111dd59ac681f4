"""The result of a cycle, with the reports of the steps that it has run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.cycle import CycleRequest, CycleResult, GateReport, Outcome, Step
from schemas.guard import GuardReport
from schemas.recorded import recorded
from stores.model_registry import RegisteredVersion
from trainer.guard.guard import reason, way_out
from trainer.package import packages

_OUTCOMES = {
    "passed": Outcome.INCONCLUSIVE,  # until it is registered
    "rejected": Outcome.REJECTED,
    "inconclusive": Outcome.INCONCLUSIVE,
    "unchanged": Outcome.UNCHANGED,
}


class CycleResults:
    """Makes the result of one cycle.

    Attributes:
        parts: the reports of the steps so far, by field of the result.
    """

    def __init__(self, request: CycleRequest, seconds: Mapping[Step, float], starts: Mapping[Step, datetime]) -> None:
        self._request = request
        self._seconds = seconds
        self._starts = starts
        self.parts: dict[str, Any] = {}

    def ended(self, outcome: Outcome, reason: str, **more: Any) -> CycleResult:
        """A result without a version, with the reports of the steps so far."""
        fields = {"base_version": self._request.base_version, "fence": self._request.fence, **self.parts, **more}
        return CycleResult(
            cycle_id=self._request.cycle_id,
            outcome=outcome,
            reason=reason,
            seconds=dict(self._seconds),
            step_starts=dict(self._starts),
            settings=recorded(self._request.settings),
            packages=packages(),
            **fields,
        )

    def judged(self, gate: GateReport, **more: Any) -> CycleResult:
        """The result for a verdict of the gate; what has passed counts as inconclusive until it is registered."""
        return self.ended(_OUTCOMES[gate.outcome], gate.reason, **more)

    def held(self, guard: GuardReport) -> CycleResult:
        """The result where the guard does not believe the data: nothing is learned from them (P9)."""
        self.parts["guard"] = guard
        out = way_out(guard, self._request.kind)
        return self.ended(Outcome.HELD, reason(guard), way_out=out, asks_full=guard.asks_full)

    def not_registered(self) -> CycleResult:
        """The result where the registry was asked, and has no version of the cycle."""
        return self.ended(Outcome.FAILED, "the registry has no version of this cycle", not_registered=True)

    def registered(self, found: RegisteredVersion) -> CycleResult:
        """The result of a cycle that has registered, read from the manifest."""
        manifest = found.manifest
        return CycleResult(
            cycle_id=manifest.cycle_id,
            outcome=Outcome.REGISTERED,
            reason=manifest.gate_report.reason,
            base_version=manifest.base_version,
            version=found.version,
            known_users=manifest.pair_report.users,
            fence=self._request.fence,
            read=manifest.read_report,
            labels=manifest.label_report,
            probe=manifest.probe_report,
            pairs=manifest.pair_report,
            guard=manifest.guard_report,
            fit=manifest.fit_report,
            gate=manifest.gate_report,
            compatibility=manifest.compatibility_report,
            asks_full=manifest.gate_report.asks_full or (manifest.guard_report and manifest.guard_report.asks_full),
            seconds=dict(self._seconds),
            step_starts=dict(self._starts),
            settings=recorded(manifest),
            packages=manifest.packages,
        )
