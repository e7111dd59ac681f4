"""The supervisor: claims what is pending for a cycle, has a trainer run it, and settles it. One at a time.

A cycle is claimed in the ledger before its trainer hears of it and stays claimed until its result is settled. So a
cycle cut short, by a crash or by a stop, is found running at the next start and run again under the same id. Where the
answer to a commit was lost, the ledger is asked for what it has. A trainer that fails is tried again a few times in the
same way before what it claimed is given back. One that may have registered before it failed is not given up before the
registry was asked: the ledger must not call failed what has a version.

Every write of a cycle bears the token of the lease (`consumer.cycles.leadership`): to the ledger, which checks it, and
to the registry, before which the trainer asks and the lease is confirmed.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.cycles.champion_tag import mirror_champion
from consumer.cycles.leadership import Leadership
from consumer.cycles.running import Running, claimed, tell_end, tell_start
from consumer.cycles.trainer_process import TrainerProcess, result_in
from consumer.cycles.trigger import Reason
from consumer.cycles.warm_trainer import WarmTrainer
from consumer.environment import for_child
from consumer.ledger.cycles import Claim
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from schemas.cycle import CycleKind, CycleRequest, CycleResult, Outcome
from schemas.fault_points import Point, reached
from schemas.guard import GuardName
from schemas.refused import refused_by

log = structlog.get_logger()

_BY_THRESHOLD = {Reason.COUNT, Reason.SHARE, Reason.LABEL_COUNT, Reason.LABEL_SHARE, Reason.STALENESS}
_ASK_AGAIN, _ASKING_TAKES = 1.0, 60.0  # seconds; of a trainer that only asks the registry


class Supervisor:
    """Runs cycles. `tick` moves everything on and never waits.

    Whatever finds that the lease is lost raises LeaseLost; `abandon` is the answer to that.

    Args:
        settings: what cycles are run with.
        ledger: where they are claimed and settled.
        leadership: the lease, held while anything is started, resumed or ticked.
        spoke: called, from another thread, when there is a reason to tick.
        clock: by which trainers are timed; one that nobody sets. Times that are passed in are for people.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        leadership: Leadership,
        spoke: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._leadership = leadership
        self._clock = clock
        self._running: Running | None = None
        self._trainer: TrainerProcess | None = None
        self._may_have_claimed = False
        self.warm = WarmTrainer(
            wanted=settings.trainer.warm, spoke=spoke, environment=_of_a_trainer(settings), clock=clock
        )
        """The trainer that is ready, for whoever needs one next."""

    @property
    def busy(self) -> bool:
        """Whether a cycle is under way."""
        return self._running is not None

    @property
    def only_asks(self) -> bool:
        """Whether the cycle has failed, and all that is left is to hear from the registry that it has no version."""
        return self._running is not None and self._running.given_up is not None

    def resume(self, now: float) -> bool:
        """Take up the cycle that was running when the last holder of the lease ended; says whether there was one."""
        with self._leadership.kept():
            claim = self._ledger.cycles.running()
        self._may_have_claimed = False
        self._prune(None if claim is None else claim.cycle_id)
        if claim is None:
            return False
        self._running = Running(claim, since=self._clock(), may_have_registered=True)
        result = result_in(self._folder(claim.cycle_id))
        # Whatever another instance did meanwhile with the same cycle, a result of ours knows nothing of.
        ours = result is not None and result.fence == self._leadership.previous
        if result is not None and ours and result.outcome is not Outcome.FAILED:
            log.info("cycle had ended", cycle_id=claim.cycle_id)
            self._settle(result, now)
            return True
        log.info("cycle resumed", cycle_id=claim.cycle_id, kind=claim.kind.value, **claimed(claim))
        self._run(now)
        return True

    def start(self, kind: CycleKind, reason: str, now: float, accept: Iterable[GuardName] = ()) -> None:
        """Claim all that is pending for a new cycle, for which the limits in `accept` are waived, and have it run."""
        reached(Point.CLAIM)
        try:
            with self._leadership.kept():
                claim = self._ledger.cycles.claim(kind, reason, now, fence=self._leadership.fence, accept=accept)
        except DBAPIError:
            self._may_have_claimed = True  # the commit may be done, and only the answer to it lost
            raise
        reached(Point.CLAIMED)
        tell_start(claim)
        self._running = Running(claim, since=self._clock())
        self._run(now)

    def warm_up(self) -> None:
        """Start the next trainer ahead of time, if that is wanted and none is ready."""
        if self._running is None:
            self.warm.keep()

    def tick(self, now: float) -> None:
        """Pass on progress, settle a cycle that has ended, try again one that failed."""
        if self._may_have_claimed:
            self._leadership.confirm(now)  # waits for the lock that a claim on its way holds: now it is there or not
            self.resume(now)
        running = self._running
        if running is None:
            self._ledger.cycles.sweep(now, remember=self._remembers)
            return
        if running.result is not None:
            self._settle(running.result, now)
            return
        if self._trainer is None:
            if running.retry_at is not None and self._clock() >= running.retry_at:
                self._run(now)
            return
        code = self._trainer.exit_code()
        for progress in self._trainer.progress():
            if progress.state == "asking":
                running.asks = True
            else:
                running.heard(progress)
        if running.asks:  # once; where the lease cannot be confirmed now, the next tick comes by here again
            self._leadership.confirm(now)
            running.may_have_registered = True
            self._trainer.permit()
            running.asks = False
            reached(Point.PERMITTED)
        if code is not None:
            self._trainer_ended(running, self._trainer, code, now)
        elif self._clock() - running.since > (limit := self._limit(running)):
            self._trainer.kill()
            self._try_again(running, f"took longer than {limit:g} s", now)

    def stop(self) -> None:
        """Give up what is under way, to be resumed at the next start, and end the trainers."""
        if self._running is not None and self._trainer is not None:
            log.info("cycle given up for now", cycle_id=self._running.claim.cycle_id)
        self._end_trainers(self._settings.trainer.stop_grace)

    def abandon(self) -> None:
        """Let go of the cycle under way: another instance runs it now."""
        if self._running is not None:
            log.warning("cycle abandoned to another instance", cycle_id=self._running.claim.cycle_id)
        self._end_trainers(grace=0.0)
        self._running, self._may_have_claimed = None, False
        self._prune(None)  # whatever we have of a cycle that others ran meanwhile counts for nothing

    def view(self, now: float) -> dict[str, Any] | None:
        """The cycle under way, for `status`."""
        if self._running is None:
            return None
        return self._running.view(self._clock(), now, at_work=self._trainer is not None)

    def _end_trainers(self, grace: float) -> None:
        self.warm.stop(grace)
        if self._trainer is not None:
            self._trainer.stop(grace)
        self._trainer = None

    def _run(self, now: float) -> None:
        assert self._running is not None
        claim = self._running.claim
        # Should what follows fail, the disk being full perhaps, it is tried again like a trainer that failed.
        self._running.asks = False
        self._running.since = self._clock()
        self._running.retry_at = self._running.since + self._settings.trainer.retry_wait
        with self._leadership.kept():
            self._trainer = self.warm.give(self._folder(claim.cycle_id), self._request(self._running, now))

    def _request(self, running: Running, now: float) -> CycleRequest:
        claim = running.claim
        return CycleRequest(
            cycle_id=claim.cycle_id,
            kind=claim.kind,
            reason=claim.reason,
            base_version=claim.base_version,
            baseline_version=claim.baseline_version,
            best_since=claim.best_since,
            accept=claim.accept,
            users=claim.users,
            labels=claim.labels,
            follows=claim.follows,
            fence=self._leadership.fence,
            above=claim.above,
            only_find=running.given_up is not None,
            settle_below=self._settle_below(claim),
            lately=self._ledger.cycles.lately(now) if self._may_lag else (),
            recent_labels=self._ledger.cycles.recent_labels(now) if self._may_lag else (),
            lineage=claim.lineage,
            settings=self._settings.for_trainer(),
        )

    @property
    def _remembers(self) -> bool:
        """Whether who was learned is remembered: for a bulk copy that lags, or for whoever wants to look."""
        asked = self._settings.ledger.remember
        return self._may_lag if asked is None else asked

    @property
    def _may_lag(self) -> bool:
        """Whether cycles that read everything read a copy that may be behind."""
        return self._settings.feature_store.kind == "hopsworks"

    def _settle_below(self, claim: Claim) -> float | None:
        """What a threshold has started may be settled without a fit; what was asked for or regretted may not."""
        policy = self._settings.trigger
        by_threshold = claim.kind is CycleKind.INCREMENTAL and claim.reason in _BY_THRESHOLD
        return policy.regret if policy.settle_unchanged and by_threshold else None

    def _trainer_ended(self, running: Running, trainer: TrainerProcess, code: int, now: float) -> None:
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

    def _try_again(self, running: Running, reason: str, now: float) -> None:
        claim, running.last_error, elapsed = running.claim, reason, self._clock()
        if running.given_up is not None:
            self._trainer, running.retry_at = None, elapsed + max(_ASK_AGAIN, self._settings.trainer.retry_wait)
            log.warning("whether the cycle has registered is not known yet", cycle_id=claim.cycle_id, reason=reason)
            return
        if claim.attempts + 1 >= self._settings.trainer.attempts:
            if running.may_have_registered:
                self._trainer, running.retry_at, running.given_up = None, elapsed, reason
            else:
                self._fail(running, reason, now)
            return
        self._ledger.cycles.attempt(claim.cycle_id, claim.attempts + 1, fence=self._leadership.fence, error=reason)
        # Only now: where the ledger cannot be used, the next tick comes by here again.
        self._trainer = None
        claim = running.claim = replace(claim, attempts=claim.attempts + 1)
        wait = self._settings.trainer.retry_wait * 2 ** (claim.attempts - 1)
        running.retry_at = elapsed + wait
        log.warning("cycle will be tried again", cycle_id=claim.cycle_id, in_s=wait, reason=reason)

    def _fail(self, running: Running, reason: str, now: float) -> None:
        claim = running.claim
        failed = CycleResult(
            cycle_id=claim.cycle_id,
            outcome=Outcome.FAILED,
            reason=reason,
            base_version=claim.base_version,
            fence=self._leadership.fence,
        )
        self._settle(failed, now)

    def _limit(self, running: Running) -> float:
        """How long a trainer may take; one that only asks has to start, however short a cycle may be."""
        timeout = self._settings.trainer.timeout
        return timeout if running.given_up is None else max(timeout, _ASKING_TAKES)

    def _settle(self, result: CycleResult, now: float) -> None:
        assert self._running is not None
        claim, self._running.result = self._running.claim, result
        reached(Point.RESULT)
        fence, refused = self._leadership.fence, refused_by(result, self._folder(claim.cycle_id))
        settled = self._ledger.cycles.settle(result, now, fence=fence, refused=refused, remember=self._remembers)
        reached(Point.SETTLED)
        self._running = self._trainer = None
        shutil.rmtree(self._folder(claim.cycle_id), ignore_errors=True)
        reached(Point.CLEARED)
        if result.version is not None and not settled:
            log.error(
                "version registered but not made champion: the champion changed meanwhile", version=result.version
            )
        if result.outcome is Outcome.UNCHANGED and not settled:
            log.warning("given back: the champion changed meanwhile", **claimed(claim))
        if settled and result.version is not None:
            mirror_champion(self._settings, lambda: self._ledger.views.past().champion)
            reached(Point.MIRRORED)
        tell_end(claim, result, now)

    def _prune(self, running: str | None) -> None:
        """Remove the folders of all other cycles: those that ended while this process was dead, or elsewhere."""
        for folder in (self._settings.work_dir / "cycles").glob("c*"):
            if folder.name != running:
                shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, cycle_id: str) -> Path:
        return self._settings.work_dir / "cycles" / cycle_id


def _of_a_trainer(settings: Settings) -> dict[str, str]:
    cluster = "hopsworks" in {settings.feature_store.kind, settings.model_registry.kind}
    return for_child(os.environ, cluster=cluster, also=settings.trainer.environment)
