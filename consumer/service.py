"""The service that `retrainer run` starts: the listener in its thread, and here the loop that decides and supervises.

Side by side:

    listener thread   polls, decodes, stores
    this thread       trigger, supervisor, status file; twice a second, or when something happened
    trainer process   one for each cycle

All instances on one ledger listen; the instance that holds the lease runs cycles, the others stand by.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.clock import Clock, Jumps, this_boot
from consumer.cycles.candidacy import Candidacy
from consumer.cycles.deciding import Deciding, Decision
from consumer.cycles.failure_report import failure_now
from consumer.cycles.leadership import Leadership
from consumer.cycles.other_instances import OtherInstances
from consumer.cycles.prober import Prober
from consumer.cycles.schedule import Schedule
from consumer.cycles.supervisor import Supervisor
from consumer.cycles.trigger import Hold, Probe, Start, Wait
from consumer.errors import LeaseLost
from consumer.followers import followers_of, words_of
from consumer.freshness.recorder import Recorder
from consumer.http.server import HttpServer
from consumer.identity import identity
from consumer.kafka.group import Membership
from consumer.ledger.ledger import Ledger
from consumer.listener.ledger_backoff import in_short
from consumer.listener.listener import Listener
from consumer.neighbours import Neighbours
from consumer.settings import Settings
from consumer.status import ServiceState, Status, write_status
from consumer.trouble import Trouble
from schemas.cycle import CycleKind
from schemas.log_events.service import (
    CHANGES,
    CLOCK_SET,
    LEDGER_AND_DISK_WORK,
    LEDGER_OR_DISK_TROUBLE,
    NOTHING_PENDING,
    SERVICE_STOPPED,
    STATUS_NOT_WRITTEN,
    STATUS_WRITTEN_AGAIN,
    STOPPING,
)

log = structlog.get_logger()

_TICK = 0.5
_AFTER_TROUBLE = 2.0
_STATUS_EVERY = 1.0
_REPORT_EVERY = 3.0
_LISTENER_GRACE = 10.0


class Service:
    """One running service. `stop` may be called from a signal handler."""

    def __init__(self, settings: Settings, ledger: Ledger, clock: Clock | None = None) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock = clock or Clock()
        self._stopping = False  # a plain flag: setting an event in a signal handler can deadlock
        self._woken = threading.Event()
        self._own = identity(settings.state_dir)
        self._listener = Listener(settings, ledger.intake, clock, self._woken.set, self._own.id)
        self._leadership = Leadership(
            ledger.leases, self._own.id, settings.lease.patience, clock.elapsed, self._own.name
        )
        self._candidacy = Candidacy(clock.elapsed)
        self._others = OtherInstances(ledger.instances, self._own.id, clock.elapsed)
        member = Membership(ledger.ledger_id, self._own.id)
        self._neighbours = Neighbours(settings.kafka, member, self._others.heard_within)
        self._supervisor = Supervisor(settings, ledger, self._leadership, self._woken.set, clock.elapsed)
        self._prober = Prober(settings, ledger, self._leadership, self._supervisor.warm, clock.elapsed)
        self._deciding = Deciding(settings.trigger, ledger, clock, settings.slo, settings.trainer.timeout)
        self._followers = followers_of(settings, ledger)
        self._recorder = Recorder(ledger)
        self._schedule = Schedule(settings.schedule.full_retrain, ledger.retrain_requests, self._woken.set)
        self._said: Status | None = None
        self._http = HttpServer(settings, lambda: self._said) if settings.http.enabled else None
        self._jumps = Jumps(clock)
        self._resumed = False
        self._decision = Decision(Wait(Hold.CATCHING_UP))
        self._status_at = self._reported_at = float("-inf")
        self._logged = _LoggedCounts()
        self._trouble = Trouble(LEDGER_OR_DISK_TROUBLE, LEDGER_AND_DISK_WORK, clock.elapsed)
        self._unwritten = Trouble(STATUS_NOT_WRITTEN, STATUS_WRITTEN_AGAIN, clock.elapsed)

    def stop(self) -> None:
        """Stop in good order, within a few seconds: a cycle under way is given up and resumed at the next start."""
        self._stopping = True

    def run(self) -> None:
        """Serve until stopped.

        Raises:
            Exception: what ended the listener for good.
        """
        self._listener.start()
        self._neighbours.start()
        self._schedule.start()
        if self._http is not None:
            self._http.start()
        try:
            while not self._stopping and self._listener.is_alive():
                self._woken.wait(_TICK if self._turned() else _AFTER_TROUBLE)
                self._woken.clear()
        finally:
            self._end()
        if self._listener.failure is not None:
            raise self._listener.failure

    def _turned(self) -> bool:
        """One turn; False when ledger or disk could not be used. That ends nothing: they may come back."""
        try:
            self._turn(self._clock.now())
        except LeaseLost as error:
            self._leadership.lose(str(error))
            self._let_go()
        except (DBAPIError, OSError) as error:
            self._trouble.met(in_short(error))
            self._decision = replace(self._decision, outcome=Wait(Hold.TROUBLE), until=None)
            self._write_status(self._state())
            return False
        self._trouble.over()
        return True

    def _turn(self, now: float) -> None:
        if by := self._jumps.seen():
            log.warning(CLOCK_SET, by_s=round(by, 1))
            self._schedule.look_again()
        self._schedule.tick(now)
        self._report(now)
        if not self._leadership.holds(now, candidate=self._stands()):
            self._let_go()
            backlog = self._ledger.views.backlog()
            self._decision = Decision(Wait(Hold.ELSEWHERE), backlog.untried, backlog.untried_labels)
            self._show(self._decision)
            return
        self._run_cycles(now)

    def _run_cycles(self, now: float) -> None:
        if not self._resumed:
            self._supervisor.resume(now)
            self._resumed = True
            for follower in self._followers:  # here, so that one instance follows and not all of them
                follower.start()
        self._supervisor.tick(now)
        self._prober.tick(now)
        if not self._prober.busy:
            self._supervisor.warm_up()
        self._decision = self._deciding.decide(
            busy=self._supervisor.busy,
            probing=self._prober.busy,
            caught_up=self._listener.status.complete,
            others_caught_up=self._others.caught_up(),
        )
        self._show(self._decision)
        self._recorder.tick(now, lag=self._listener.status.lag, training=self._supervisor.busy)
        if isinstance(self._decision.outcome, Start):
            self._start(self._decision.outcome, now)
        elif isinstance(self._decision.outcome, Probe):
            self._prober.begin()

    def _let_go(self) -> None:
        """Stop all that was begun while we ran cycles: it is another instance's now."""
        self._prober.stop(grace=0.0)
        if self._resumed or self._supervisor.busy:
            self._supervisor.abandon()
            self._resumed = False
            for follower in self._followers:
                follower.stop()

    def _report(self, now: float) -> None:
        """Show the other instances, by the ledger, how this one is."""
        if self._clock.elapsed() - self._reported_at >= _REPORT_EVERY:
            self._ledger.instances.report(self._own.id, self._status(self._state()), now, self._own.name)
            self._others.look()
            self._reported_at = self._clock.elapsed()

    def _stands(self) -> bool:
        """Whether this instance should run cycles; not while it cannot read and another instance can."""
        return self._candidacy.stands(
            reads=self._listener.status.unable is None,
            others_read=self._others.anybody_reads(),
            holds=self._leadership.held,
            busy=self._supervisor.busy,
        )

    def _start(self, decision: Start, now: float) -> None:
        if decision.kind is CycleKind.INCREMENTAL and self._ledger.views.backlog().empty:
            log.info(NOTHING_PENDING)
            self._ledger.retrain_requests.drop_incremental(fence=self._leadership.fence)
            return
        self._prober.stop(grace=0.0)  # trainers work one at a time, and an operator does not wait for a probe
        self._supervisor.start(decision.kind, decision.reason.value, now)

    def _show(self, decision: Decision) -> None:
        if self._clock.elapsed() - self._status_at < _STATUS_EVERY:
            return
        self._status_at = self._clock.elapsed()
        listener = self._listener.status
        heard = _LoggedCounts(listener.events, listener.ignored, listener.dead)
        if heard != self._logged:
            log.info(
                CHANGES,
                events=heard.events,
                ignored=heard.ignored,
                dead=heard.dead,
                pending=decision.pending_users,
                **({"pending_labels": decision.pending_labels} if self._settings.labels else {}),
                lag=listener.lag,
            )
            self._logged = heard
        self._write_status(self._state())

    def _state(self) -> str:
        listener = self._listener.status
        if listener.held or listener.trouble:
            return listener.held or listener.state
        if self._trouble.reason:
            return ServiceState.IN_TROUBLE
        if self._supervisor.busy:
            return ServiceState.TRAINING
        return ServiceState.HELD if self._decision.held else listener.state

    def _status(self, state: str) -> Status:
        listener, decision, now = self._listener.status, self._decision, self._clock.now()
        cycle, held = self._supervisor.view(now), decision.held
        failing = failure_now(cycle, decision.failed, self._settings.trainer.attempts, decision.until)
        return Status(
            pid=os.getpid(),
            state=state,
            written_at=now,
            polled_at=listener.polled_at,
            lag=listener.lag,
            hold=decision.hold,
            cycle=cycle,
            runs_cycles=self._leadership.held,
            partitions=listener.partitions,
            caught_up=listener.complete,
            unable=listener.unable,
            trouble=listener.trouble or self._trouble.reason or self._neighbours.trouble or self._unwritten.reason,
            held=held.in_words if held else None,
            listener=listener.state,
            last_lag=listener.last_lag,
            lag_at=listener.lag_at,
            stored_event_at=listener.stored_event_at,
            hold_until=decision.until,
            failing=asdict(failing) if failing else None,
            full_waits=asdict(decision.full_waits) if decision.full_waits else None,
            served=words_of(self._followers) if self._leadership.held else None,
            http=self._http.url if self._http is not None else None,
            boot=this_boot(),
            written_elapsed=self._clock.elapsed(),
            polled_elapsed=listener.polled_elapsed,
            notice="\n".join(listener.notices) or None,
        )

    def _write_status(self, state: str) -> None:
        self._said = status = self._status(state)
        try:
            unwritten = write_status(self._settings.status_file, status)
        except OSError as error:
            unwritten = str(error)
        if unwritten:
            self._unwritten.met(unwritten)
        else:
            self._unwritten.over()

    def _end(self) -> None:
        log.info(STOPPING)
        self._listener.stop()
        self._schedule.stop()
        self._neighbours.stop()
        for follower in self._followers:
            follower.stop()
        self._prober.stop(self._settings.trainer.stop_grace)
        self._supervisor.stop()
        self._listener.join(_LISTENER_GRACE)
        if self._http is not None:
            self._http.stop()
        with suppress(DBAPIError):  # without that, the others wait for as long as their patience lasts
            self._leadership.release(self._clock.now())
            self._ledger.instances.leave(self._own.id)
        self._write_status(ServiceState.STOPPED)
        log.info(SERVICE_STOPPED)


@dataclass(frozen=True, slots=True)
class _LoggedCounts:
    """Counts of the listener, as they were last logged."""

    events: int = 0
    ignored: int = 0
    dead: int = 0
