"""The cycle under way: what the supervisor knows of it, and what logs and status say of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import structlog

from consumer.cycles.attempts import Attempts
from consumer.cycles.lifecycle import states
from consumer.ledger.cycles import Claim
from schemas.cycle import CycleResult, Metrics, Outcome, Progress, Step
from schemas.log_events.cycles import (
    CHANGES_GIVEN_BACK,
    CYCLE_ENDED,
    CYCLE_RETRIED,
    CYCLE_STARTED,
    CYCLE_STEP,
    NOT_MADE_CHAMPION,
    REGISTRATION_UNKNOWN,
)
from schemas.stores.calls import CallReport, joined
from schemas.watching.traces import trace_id_of

log = structlog.get_logger()


class Activity(StrEnum):
    """Whether a trainer works on a cycle, as `status` shows it."""

    AT_WORK = "running"
    WAITING = "waiting to try again"
    TO_BE_RESUMED = "to be resumed at the next start"
    """No instance works on it."""


@dataclass(slots=True)
class Running:
    """The cycle that is under way."""

    claim: Claim
    since: float
    """When the present attempt began, by a clock that nobody sets."""
    attempts: Attempts
    last_error: str | None = None
    """Why the last attempt of this process failed."""
    step: Step | None = None
    done: int | None = None
    total: int | None = None
    calls: tuple[CallReport, ...] = ()
    """Calls of stores and registry by the attempts that have ended in this process."""

    def called(self, result: CycleResult | None) -> None:
        """An attempt has ended, with this result if with any."""
        self.calls = joined([*self.calls, *(result.calls if result else ())])

    @classmethod
    def of(cls, claim: Claim, folder: Path, since: float) -> Self:
        """The cycle of a claim, whose files lie in `folder`."""
        return cls(claim, since, Attempts(folder))

    def heard(self, progress: Progress) -> None:
        """The trainer says how far it is."""
        self.step, self.done, self.total = progress.step, progress.done, progress.total
        log.info(
            CYCLE_STEP,
            cycle_id=progress.cycle_id,
            step=progress.step.value,
            state=progress.state,
            done=progress.done,
            total=progress.total,
            facts=progress.facts,
        )

    def failed(self, reason: str, now: float, *, unverified: bool) -> None:
        """An attempt failed; `unverified` says whether the registry has to be asked for a version now."""
        self.last_error = reason
        self.attempts.ended(now, reason)
        if unverified:
            log.warning(REGISTRATION_UNKNOWN, cycle_id=self.claim.cycle_id, reason=reason)

    def counted(self, number: int, reason: str, wait: float) -> None:
        """The ledger has counted the failed attempt `number`; the next one starts after `wait` seconds."""
        self.claim = replace(self.claim, attempts=number)
        log.warning(CYCLE_RETRIED, cycle_id=self.claim.cycle_id, in_s=wait, reason=reason)

    def result(self, ending: states.Ending, fence: int, now: float) -> CycleResult:
        """The result of the cycle as it goes on record, with its attempts and the calls of all of them."""
        self.attempts.ended(now)
        found = ending if isinstance(ending, CycleResult) else _failed_result(self.claim, ending.reason, fence)
        calls = {"calls": self.calls} if self.calls else {}
        return found.model_copy(update={"attempts": self.attempts.told(), **calls})

    def view(self, state: states.State, elapsed: float, now: float) -> dict[str, Any]:
        """As `status` has it; `elapsed` and `now` are the same moment by two clocks."""
        until = state.until if isinstance(state, states.Backoff | states.RegistryBackoff) else None
        activity = Activity.AT_WORK if until is None else Activity.WAITING
        if isinstance(state, states.Stopped):
            activity = Activity.TO_BE_RESUMED
        return {
            "cycle_id": self.claim.cycle_id,
            "kind": self.claim.kind.value,
            "reason": self.claim.reason,
            **claimed(self.claim),
            "state": activity.value,
            "step": self.step.value if self.step else None,
            "done": self.done,
            "total": self.total,
            "attempts": self.claim.attempts,
            "running_s": round(elapsed - self.since, 1),
            "last_error": self.last_error or self.claim.last_error,
            "next_try_at": None if until is None else now + max(0.0, until - elapsed),
        }


def claimed(claim: Claim) -> dict[str, int]:
    """How much a cycle has claimed; nothing is said of labels where there are none."""
    return {"users": len(claim.users), **({"labels": len(claim.labels)} if claim.labels else {})}


def _failed_result(claim: Claim, reason: str, fence: int) -> CycleResult:
    """The result of a cycle whose attempts have all failed, the last because of `reason`."""
    return CycleResult(
        cycle_id=claim.cycle_id, outcome=Outcome.FAILED, reason=reason, base_version=claim.base_version, fence=fence
    )


def log_start(claim: Claim) -> None:
    """A cycle has been claimed."""
    log.info(
        CYCLE_STARTED,
        cycle_id=claim.cycle_id,
        kind=claim.kind.value,
        reason=claim.reason,
        **claimed(claim),
        base_version=claim.base_version,
        accept=[name.value for name in claim.accept] or None,
    )


def log_end(
    claim: Claim, result: CycleResult, now: float, *, settled: bool, barred: str | None = None, traced: bool = False
) -> None:
    """A cycle has ended; `settled` says whether what it claimed is settled, or given back, `barred` why its
    version is not champion, `traced` whether its trace is told."""
    if result.version is not None and not settled:
        log.warning(NOT_MADE_CHAMPION, cycle_id=result.cycle_id, version=result.version, reason=barred)
    if result.outcome is Outcome.UNCHANGED and not settled:
        log.warning(CHANGES_GIVEN_BACK, cycle_id=result.cycle_id, **claimed(claim))
    gate, pairs = result.gate, result.pairs
    challenger, champion = (gate.challenger, gate.champion) if gate else (None, None)
    say = log.error if result.outcome is Outcome.HELD else log.info
    say(
        CYCLE_ENDED,
        cycle_id=result.cycle_id,
        kind=claim.kind.value,
        outcome=result.outcome.value,
        version=result.version,
        reason=result.reason,
        base_version=result.base_version,
        **{f"changed_{kind}": count for kind, count in claimed(claim).items()},
        pairs_before=pairs.before if pairs else None,
        pairs_after=pairs.after if pairs else None,
        accuracy=challenger.accuracy if challenger else None,
        champion_accuracy=champion.accuracy if champion else None,
        precision=challenger.precision if challenger else None,
        champion_precision=champion.precision if champion else None,
        recall=challenger.recall if challenger else None,
        champion_recall=champion.recall if champion else None,
        recall_at_10=challenger.recall_at_10 if challenger else None,
        **_of_outcomes("", challenger),
        **_of_outcomes("champion_", champion),
        way_out=result.way_out,
        asks_full=result.asks_full,
        seconds=round(max(0.0, now - claim.claimed_at), 1),  # the clock may have been set back
        **({"trace_id": trace_id_of(result.cycle_id)} if traced else {}),
    )


def _of_outcomes(whose: str, metrics: Metrics | None) -> dict[str, float | None]:
    """The figures of held-out labels; nothing is said of them where there are none."""
    if metrics is None or metrics.outcome_auc is None:
        return {}
    return {f"{whose}outcome_auc": metrics.outcome_auc, f"{whose}recall_at_50": metrics.recall_at_50}
