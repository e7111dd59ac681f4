"""The cycle under way: what the supervisor knows of it, and how it is told to those who read logs and status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import structlog

from consumer.ledger.cycles import Claim
from schemas.cycle import CycleResult, Metrics, Outcome, Progress, Step
from schemas.log_events.cycles import CYCLE_ENDED, CYCLE_STARTED, CYCLE_STEP

log = structlog.get_logger()

TO_BE_RESUMED = "to be resumed at the next start"
"""The state of a cycle that nobody works on."""


@dataclass(slots=True)
class Running:
    """The cycle that is under way."""

    claim: Claim
    since: float
    """When its present attempt began, by a clock that nobody sets."""
    retry_at: float | None = None
    """When to try again, while no trainer works on it, by the same clock."""
    last_error: str | None = None
    """Why the last attempt of this process failed."""
    may_have_registered: bool = False
    """Whether a trainer got its word, be it from us or from whoever ran the cycle before."""
    given_up: str | None = None
    """Why the cycle has failed, once all that is left to do is to ask the registry for its version."""
    result: CycleResult | None = None
    """How it ended, once that is decided; it is settled again and again until the ledger has said that it is."""
    asks: bool = False
    """Whether its trainer waits for the word that it may register."""
    step: Step | None = None
    done: int | None = None
    total: int | None = None

    def heard(self, progress: Progress) -> None:
        """Its trainer says how far it is."""
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

    def view(self, elapsed: float, now: float, *, at_work: bool) -> dict[str, Any]:
        """As `status` has it; `at_work` says whether a trainer works on it, `elapsed` and `now` are the same moment."""
        wait = None if at_work or self.retry_at is None else max(0.0, self.retry_at - elapsed)
        return {
            "cycle_id": self.claim.cycle_id,
            "kind": self.claim.kind.value,
            "reason": self.claim.reason,
            **claimed(self.claim),
            "state": "running" if at_work else "waiting to try again",
            "step": self.step.value if self.step else None,
            "done": self.done,
            "total": self.total,
            "attempts": self.claim.attempts,
            "running_s": round(elapsed - self.since, 1),
            "last_error": self.last_error or self.claim.last_error,
            "next_try_at": None if wait is None else now + wait,
        }


def claimed(claim: Claim) -> dict[str, int]:
    """How much a cycle has claimed; nothing is said of labels where there are none."""
    return {"users": len(claim.users), **({"labels": len(claim.labels)} if claim.labels else {})}


def tell_start(claim: Claim) -> None:
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


def tell_end(claim: Claim, result: CycleResult, now: float) -> None:
    """A cycle has been settled."""
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
    )


def _of_outcomes(whose: str, metrics: Metrics | None) -> dict[str, float | None]:
    """The figures of held-out labels; nothing is said of them where there are none."""
    if metrics is None or metrics.outcome_auc is None:
        return {}
    return {f"{whose}outcome_auc": metrics.outcome_auc, f"{whose}recall_at_50": metrics.recall_at_50}
