"""The supervisor: claims what is pending for a cycle, has a trainer run the cycle, and settles it. One at a time.

A cycle is claimed in the ledger before its trainer hears of it and stays claimed until its result is settled. So a
cycle cut short, by a crash or by a stop, is found running at the next start and run again under the same id.

What follows on what is decided in `consumer.cycles.lifecycle`. Here events come in and actions are carried out.

Every write of a cycle bears the token of the lease (`consumer.cycles.leadership`): to the ledger, which checks it, and
to the registry, before which the trainer asks and the lease is confirmed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.cycles.cycle_folders import CycleFolders
from consumer.cycles.cycle_request import cycle_request
from consumer.cycles.leadership import Leadership
from consumer.cycles.lifecycle import actions, events, states
from consumer.cycles.lifecycle.step import Limits, step
from consumer.cycles.running import Running, claimed, log_end, log_start
from consumer.cycles.trainer_process import TrainerProcess, result_in, trainer_ended
from consumer.cycles.warm_trainer import WarmTrainer, trainer_environment
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from schemas.cycle import CycleKind, Outcome
from schemas.fault_points import Point, reached
from schemas.guard import GuardName
from schemas.log_events.cycles import (
    CYCLE_ABANDONED,
    CYCLE_HAD_ENDED,
    CYCLE_PUT_OFF,
    CYCLE_RESUMED,
)
from schemas.refused import refused_by

log = structlog.get_logger()


class Supervisor:
    """Runs cycles. `tick` moves everything on and never waits.

    A method that finds that the lease is lost raises LeaseLost; the caller then calls `abandon`.

    Args:
        settings: what cycles are run with.
        ledger: where they are claimed and settled.
        leadership: the lease, held while anything is started, resumed or ticked.
        spoke: called, from another thread, when there is a reason to tick.
        clock: seconds of a clock that nobody sets, for the timing of trainers. Times that are passed in are wall times.
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
        trainer = settings.trainer
        self._limits = Limits(trainer.attempts, trainer.retry_wait, trainer.timeout)
        self._folders = CycleFolders(settings.work_dir)
        self._running: Running | None = None
        self._trainer: TrainerProcess | None = None
        self.state: states.State = states.Idle()
        """Where the cycle is in its life."""
        self.warm = WarmTrainer(
            wanted=trainer.warm, spoke=spoke, environment=trainer_environment(settings), clock=clock
        )
        """The trainer that is ready for the next cycle or probe."""

    @property
    def busy(self) -> bool:
        """Whether a cycle is under way."""
        return self._running is not None

    @property
    def only_asks(self) -> bool:
        """Whether the cycle has failed, and all that is left is to hear from the registry that it has no version."""
        return isinstance(self.state, states.RegistryBackoff | states.VerifyingRegistry)

    def resume(self, now: float) -> bool:
        """Take up the cycle that was running when the last holder of the lease ended; says whether there was one."""
        with self._leadership.kept():
            claim = self._ledger.cycles.running()
        self._folders.keep_only(None if claim is None else claim.cycle_id)
        if claim is None:
            self._happened(events.NothingClaimed(), now)
            return False
        self._running = Running.of(claim, self._folders.of(claim.cycle_id), self._clock())
        result = result_in(self._folders.of(claim.cycle_id))
        # A result of ours knows nothing of what another instance has done with the same cycle since.
        ours = result if result is not None and result.fence == self._leadership.previous else None
        if ours is not None and ours.outcome is not Outcome.FAILED:
            log.info(CYCLE_HAD_ENDED, cycle_id=claim.cycle_id)
        else:
            log.info(CYCLE_RESUMED, cycle_id=claim.cycle_id, kind=claim.kind.value, **claimed(claim))
        self._happened(events.ClaimFound(claim.attempts, ours), now)
        return True

    def start(self, kind: CycleKind, reason: str, now: float, accept: Iterable[GuardName] = ()) -> None:
        """Claim all that is pending for a new cycle, for which the limits in `accept` are waived, and have it run."""
        reached(Point.CLAIM)
        try:
            with self._leadership.kept():
                claim = self._ledger.cycles.claim(kind, reason, now, fence=self._leadership.fence, accept=accept)
        except DBAPIError:  # the commit may be done, and only the answer lost
            self._happened(events.ClaimUnanswered(), now)
            raise
        reached(Point.CLAIMED)
        log_start(claim)
        self._running = Running.of(claim, self._folders.of(claim.cycle_id), self._clock())
        self._happened(events.Claimed(), now)

    def warm_up(self) -> None:
        """Start the next trainer ahead of time, if that is wanted and none is ready."""
        if self._running is None:
            self.warm.keep()

    def tick(self, now: float) -> None:
        """Hear the trainer, settle a cycle that has ended, try a cycle that failed again.

        What raises here (DBAPIError, OSError) is tried again by a later call.
        """
        if self._trainer is None or not self._has_ended(self._trainer, now):
            self._happened(events.Tick(), now)

    def stop(self) -> None:
        """Give up what is under way, to be resumed at the next start, and end the trainers."""
        if self._running is not None and self._trainer is not None:
            log.info(CYCLE_PUT_OFF, cycle_id=self._running.claim.cycle_id)
        self._happened(events.StopAsked(), 0.0)

    def abandon(self) -> None:
        """Let go of the cycle under way: another instance runs it now."""
        if self._running is not None:
            log.warning(CYCLE_ABANDONED, cycle_id=self._running.claim.cycle_id)
        self._happened(events.Overtaken(), 0.0)

    def view(self, now: float) -> dict[str, Any] | None:
        """The cycle under way, for `status`."""
        return None if self._running is None else self._running.view(self.state, self._clock(), now)

    def _happened(self, event: events.Event, now: float, at: float | None = None) -> None:
        """Carry out what an event leads to; `at` is when it happened by our clock, if not now."""
        self.state, todo = step(self._limits, self.state, event, self._clock() if at is None else at)
        for action in todo:
            self._carry_out(action, now)

    def _carry_out(self, action: actions.Action, now: float) -> None:
        match action:
            case actions.Sweep():
                self._ledger.cycles.sweep(now, remember=self._settings.ledger.remember)
            case actions.FindClaim():
                # The renewal waits for the lock that a claim on its way holds: after it the claim is there, or is not.
                self._leadership.confirm(now)
                self.resume(now)
            case actions.StartTrainer(lookup_only=lookup_only):
                self._start_trainer(now, lookup_only=lookup_only)
            case actions.ConfirmLease():
                self._leadership.confirm(now)
                self._happened(events.LeaseConfirmed(), now)
            case actions.Permit():
                assert self._trainer is not None
                self._trainer.permit()
                reached(Point.PERMITTED)
            case actions.KillTrainer():
                assert self._trainer is not None
                self._trainer.kill()
                self._trainer = None
            case actions.NoteFailure(reason=reason):
                self._under_way.failed(reason, now, unverified=self.only_asks)
            case actions.CountAttempt(number=number, reason=reason):
                self._count(number, reason, now)
            case actions.Settle(ending=ending):
                self._settle(ending, now)
            case actions.EndTrainers(at_once=at_once):
                self._end_trainers(0.0 if at_once else self._settings.trainer.stop_grace)
            case actions.Discard():
                self._running = None
                self._folders.keep_only(None)  # others have run these cycles since: our files count for nothing

    @property
    def _under_way(self) -> Running:
        assert self._running is not None
        return self._running

    def _has_ended(self, trainer: TrainerProcess, now: float) -> bool:
        """Hear what the trainer at work has to say, and whether it has ended."""
        code = trainer.exit_code()
        reported = trainer.progress()
        for progress in reported:
            if progress.state != "asking":
                self._under_way.heard(progress)
        if any(progress.state == "asking" for progress in reported):  # last: where this raises, nothing is left unheard
            self._happened(events.TrainerAsked(), now)
        if code is None:
            return False
        cycle_id = self._under_way.claim.cycle_id
        self._trainer = None
        ended = trainer_ended(trainer, code, cycle_id, self._folders.of(cycle_id))
        self._under_way.called(ended.result)
        self._happened(ended, now)
        return True

    def _start_trainer(self, now: float, *, lookup_only: bool) -> None:
        running = self._under_way
        running.since = started = self._clock()
        with self._leadership.kept():
            fence = self._leadership.fence
            request = cycle_request(
                self._settings, self._ledger, running.claim, fence=fence, now=now, lookup_only=lookup_only
            )
            self._trainer = self.warm.give(self._folders.of(running.claim.cycle_id), request)
            running.attempts.began(now)
        self._happened(events.TrainerStarted(), now, started)

    def _end_trainers(self, grace: float) -> None:
        self.warm.stop(grace)
        if self._trainer is not None:
            self._trainer.stop(grace)
        self._trainer = None

    def _count(self, number: int, reason: str, now: float) -> None:
        cycle_id = self._under_way.claim.cycle_id
        self._ledger.cycles.attempt(cycle_id, number, fence=self._leadership.fence, error=reason)
        self._under_way.counted(number, reason, self._limits.wait_after(number))
        self._happened(events.AttemptCounted(), now)

    def _settle(self, ending: states.Ending, now: float) -> None:
        claim, fence = self._under_way.claim, self._leadership.fence
        result = self._under_way.result(ending, fence, now)
        reached(Point.RESULT)
        refused = refused_by(result, self._folders.of(claim.cycle_id))
        settled = self._ledger.cycles.settle(
            result, now, fence=fence, refused=refused, remember=self._settings.ledger.remember
        )
        reached(Point.SETTLED)
        self._running = None
        self._happened(events.Settled(), now)
        self._folders.remove(claim.cycle_id)
        reached(Point.CLEARED)
        barred = None if settled or result.version is None else self._ledger.promotions.barred(result.version)
        log_end(claim, result, now, settled=settled, barred=barred, traced=self._settings.tracing.wanted)
