"""The supervisor: claims the pending users for a cycle, has a trainer run it, and settles it. One at a time.

A cycle is claimed in the ledger before its trainer hears of it and stays claimed until its result is settled. So a
cycle cut short, by a crash or by a stop, is found running at the next start and run again under the same id. A trainer
that fails is tried again a few times in the same way before the users are given back. One that may have registered
before it failed is not given up before the registry was asked: the ledger must not call failed what has a version.

Every write of a cycle bears the token of the lease (`consumer.leadership`): to the ledger, which checks it, and to the
registry, before which the trainer asks and the lease is confirmed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import structlog

from consumer.champion_tag import mirror_champion
from consumer.leadership import Leadership
from consumer.ledger.cycles import Claim
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from consumer.trainer_process import TrainerProcess, result_in
from schemas.cycle import CycleKind, CycleRequest, CycleResult, Outcome, Progress, Step
from schemas.fault_points import Point, reached

log = structlog.get_logger()

_ASK_AGAIN, _ASKING_TAKES = 1.0, 60.0  # seconds; of a trainer that only asks the registry
_WARM_AGAIN = 10.0  # after a waiting trainer has died, so that one that cannot start is not started for ever


@dataclass(slots=True)
class _Running:
    """The cycle that is under way."""

    claim: Claim
    since: float
    retry_at: float | None = None
    """When to try again, while no trainer works on it."""
    may_have_registered: bool = False
    """Whether a trainer got its word, be it from us or from whoever ran the cycle before."""
    given_up: str | None = None
    """Why the cycle has failed, once all that is left to do is to ask the registry for its version."""
    asks: bool = False
    """Whether its trainer waits for the word that it may register."""
    step: Step | None = None
    done: int | None = None
    total: int | None = None


class Supervisor:
    """Runs cycles. `tick` moves everything on and never waits.

    Whatever finds that the lease is lost raises LeaseLost; `abandon` is the answer to that.

    Args:
        settings: what cycles are run with.
        ledger: where they are claimed and settled.
        leadership: the lease, held while anything is started, resumed or ticked.
        spoke: called, from another thread, when there is a reason to tick.
    """

    def __init__(self, settings: Settings, ledger: Ledger, leadership: Leadership, spoke: Callable[[], None]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._leadership = leadership
        self._spoke = spoke
        self._running: _Running | None = None
        self._trainer: TrainerProcess | None = None
        self._spare: TrainerProcess | None = None
        self._warm_at = 0.0

    @property
    def busy(self) -> bool:
        """Whether a cycle is under way."""
        return self._running is not None

    def resume(self, now: float) -> bool:
        """Take up the cycle that was running when the last holder of the lease ended; says whether there was one."""
        claim = self._ledger.cycles.running()
        if claim is None:
            return False
        self._running = _Running(claim, since=now, may_have_registered=True)
        result = result_in(self._folder(claim.cycle_id))
        # Whatever another instance did meanwhile with the same cycle, a result of ours knows nothing of.
        ours = result is not None and result.fence == self._leadership.previous
        if result is not None and ours and result.outcome is not Outcome.FAILED:
            log.info("cycle had ended", cycle_id=claim.cycle_id)
            self._settle(result, now)
            return True
        log.info("cycle resumed", cycle_id=claim.cycle_id, kind=claim.kind.value, users=len(claim.users))
        self._run(now)
        return True

    def start(self, kind: CycleKind, reason: str, now: float) -> None:
        """Claim all pending users for a new cycle and have it run."""
        reached(Point.CLAIM)
        claim = self._ledger.cycles.claim(kind, reason, now, fence=self._leadership.fence)
        reached(Point.CLAIMED)
        log.info(
            "cycle started",
            cycle_id=claim.cycle_id,
            kind=kind.value,
            reason=reason,
            users=len(claim.users),
            base_version=claim.base_version,
        )
        self._running = _Running(claim, since=now)
        self._run(now)

    def warm_up(self, now: float) -> None:
        """Start the next trainer ahead of time, if that is wanted and none is ready."""
        if not self._settings.trainer.warm or self._running is not None or now < self._warm_at:
            return
        if self._spare is not None and (code := self._spare.exit_code()) is not None:
            log.warning("waiting trainer ended", exit_code=code, last_words=self._spare.last_words())
            self._spare = None
            self._warm_at = now + _WARM_AGAIN
        else:
            self._spare = self._spare or TrainerProcess(self._spoke)

    def tick(self, now: float) -> None:
        """Pass on progress, settle a cycle that has ended, try again one that failed."""
        running = self._running
        if running is None:
            return
        if self._trainer is None:
            if running.retry_at is not None and now >= running.retry_at:
                self._run(now)
            return
        code = self._trainer.exit_code()
        for progress in self._trainer.progress():
            if progress.state == "asking":
                running.asks = True
            else:
                self._pass_on(running, progress)
        if running.asks:  # once; where the lease cannot be confirmed now, the next tick comes by here again
            self._leadership.confirm(now)
            running.may_have_registered = True
            self._trainer.permit()
            running.asks = False
            reached(Point.PERMITTED)
        if code is not None:
            self._trainer_ended(running, self._trainer, code, now)
        elif now - running.since > (limit := self._limit(running)):
            self._trainer.kill()
            self._try_again(running, f"took longer than {limit:g} s", now)

    def stop(self) -> None:
        """Give up what is under way, to be resumed at the next start, and end the trainers."""
        if self._running is not None and self._trainer is not None:
            log.info("cycle given up for now", cycle_id=self._running.claim.cycle_id)
        for trainer in (self._spare, self._trainer):
            if trainer is not None:
                trainer.stop(self._settings.trainer.stop_grace)
        self._spare = self._trainer = None

    def abandon(self) -> None:
        """Let go of the cycle under way: another instance runs it now."""
        if self._running is not None:
            log.warning("cycle abandoned to another instance", cycle_id=self._running.claim.cycle_id)
        for trainer in (self._spare, self._trainer):
            if trainer is not None:
                trainer.stop(grace=0.0)
        self._spare = self._trainer = self._running = None

    def view(self, now: float) -> dict[str, Any] | None:
        """The cycle under way, for `status`."""
        if (running := self._running) is None:
            return None
        return {
            "cycle_id": running.claim.cycle_id,
            "kind": running.claim.kind.value,
            "reason": running.claim.reason,
            "users": len(running.claim.users),
            "state": "running" if self._trainer is not None else "waiting to try again",
            "step": running.step.value if running.step else None,
            "done": running.done,
            "total": running.total,
            "attempts": running.claim.attempts,
            "running_s": round(now - running.since, 1),
        }

    def _run(self, now: float) -> None:
        assert self._running is not None
        claim = self._running.claim
        # Should what follows fail, the disk being full perhaps, it is tried again like a trainer that failed.
        self._running.asks = False
        self._running.since, self._running.retry_at = now, now + self._settings.trainer.retry_wait
        request = CycleRequest(
            cycle_id=claim.cycle_id,
            kind=claim.kind,
            reason=claim.reason,
            base_version=claim.base_version,
            anchor_version=claim.anchor_version,
            users=claim.users,
            follows=claim.follows,
            fence=self._leadership.fence,
            only_find=self._running.given_up is not None,
            lately=self._ledger.cycles.lately(now) if self._settings.feature_store.kind == "hopsworks" else (),
            lineage=claim.lineage,
            settings=self._settings.for_trainer(),
        )
        trainer = self._spare if self._spare and self._spare.exit_code() is None else TrainerProcess(self._spoke)
        self._spare = trainer  # kept for the next try, should the disk be full
        trainer.give(self._folder(claim.cycle_id), request)
        reached(Point.GIVEN)
        self._trainer, self._spare = trainer, None

    def _pass_on(self, running: _Running, progress: Progress) -> None:
        running.step, running.done, running.total = progress.step, progress.done, progress.total
        log.info(
            "step",
            cycle_id=progress.cycle_id,
            step=progress.step.value,
            state=progress.state,
            done=progress.done,
            total=progress.total,
            facts=progress.facts,
        )

    def _trainer_ended(self, running: _Running, trainer: TrainerProcess, code: int, now: float) -> None:
        result = result_in(self._folder(running.claim.cycle_id))
        if result is not None and result.outcome is not Outcome.FAILED:
            self._settle(result, now)
            return
        if result is not None and result.absent and running.given_up is not None:
            self._fail(running, running.given_up, now)
            return
        if result is not None:
            reason = result.reason
            log.error("trainer failed", cycle_id=running.claim.cycle_id, reason=reason)
            log.debug("trainer's last words", last_words=trainer.last_words())
        else:
            words = trainer.last_words()
            reason = ": ".join([f"the trainer ended with code {code} and no result", *words.splitlines()[-1:]])
            log.error("trainer failed", cycle_id=running.claim.cycle_id, reason=reason, last_words=words)
        self._try_again(running, reason, now)

    def _try_again(self, running: _Running, reason: str, now: float) -> None:
        claim = running.claim
        if running.given_up is not None:
            self._trainer, running.retry_at = None, now + max(_ASK_AGAIN, self._settings.trainer.retry_wait)
            log.warning("whether the cycle has registered is not known yet", cycle_id=claim.cycle_id, reason=reason)
            return
        if claim.attempts + 1 >= self._settings.trainer.attempts:
            if running.may_have_registered:
                self._trainer, running.retry_at, running.given_up = None, now, reason
            else:
                self._fail(running, reason, now)
            return
        self._ledger.cycles.attempt(claim.cycle_id, fence=self._leadership.fence)
        # Only now: where the ledger cannot be used, the next tick comes by here again.
        self._trainer = None
        claim = running.claim = replace(claim, attempts=claim.attempts + 1)
        running.retry_at = now + self._settings.trainer.retry_wait * 2 ** (claim.attempts - 1)
        log.warning("cycle will be tried again", cycle_id=claim.cycle_id, in_s=running.retry_at - now, reason=reason)

    def _fail(self, running: _Running, reason: str, now: float) -> None:
        claim = running.claim
        failed = CycleResult(
            cycle_id=claim.cycle_id,
            outcome=Outcome.FAILED,
            reason=reason,
            base_version=claim.base_version,
            fence=self._leadership.fence,
        )
        self._settle(failed, now)

    def _limit(self, running: _Running) -> float:
        """How long a trainer may take; one that only asks has to start, however short a cycle may be."""
        timeout = self._settings.trainer.timeout
        return timeout if running.given_up is None else max(timeout, _ASKING_TAKES)

    def _settle(self, result: CycleResult, now: float) -> None:
        assert self._running is not None
        claim = self._running.claim
        reached(Point.RESULT)
        promoted = self._ledger.cycles.settle(result, now, fence=self._leadership.fence)
        reached(Point.SETTLED)
        self._running = self._trainer = None
        shutil.rmtree(self._folder(claim.cycle_id), ignore_errors=True)
        reached(Point.CLEARED)
        if result.version is not None and not promoted:
            log.error(
                "version registered but not made champion: the champion changed meanwhile", version=result.version
            )
        if promoted and result.version is not None:
            mirror_champion(self._settings, result.version)
            reached(Point.MIRRORED)
        gate, pairs = result.gate, result.pairs
        log.info(
            "cycle ended",
            cycle_id=result.cycle_id,
            kind=claim.kind.value,
            outcome=result.outcome.value,
            version=result.version,
            reason=result.reason,
            base_version=result.base_version,
            changed_users=len(claim.users),
            pairs_before=pairs.before if pairs else None,
            pairs_after=pairs.after if pairs else None,
            accuracy=gate.challenger.accuracy if gate and gate.challenger else None,
            champion_accuracy=gate.champion.accuracy if gate and gate.champion else None,
            recall_at_10=gate.challenger.recall_at_10 if gate and gate.challenger else None,
            seconds=round(now - claim.claimed_at, 1),
        )

    def _folder(self, cycle_id: str) -> Path:
        return self._settings.work_dir / "cycles" / cycle_id
