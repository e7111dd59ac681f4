"""The service that `retrainer run` starts: the listener in its thread, and here the loop that decides and supervises.

Side by side:

    listener thread   polls, decodes, stores
    this thread       trigger, supervisor, status file; twice a second, or when something happened
    trainer process   one for each cycle

Of several instances on one ledger every one listens; the one that holds the lease runs cycles, the others stand by.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.cycles.candidacy import Candidacy
from consumer.cycles.leadership import Leadership
from consumer.cycles.others import Others
from consumer.cycles.prober import Prober
from consumer.cycles.schedule import Schedule
from consumer.cycles.supervisor import Supervisor
from consumer.cycles.trigger import Hold, Probe, Start, TriggerState, Wait, decide
from consumer.dead_letters.publisher import Publisher
from consumer.errors import LeaseLost
from consumer.identity import identity
from consumer.kafka.group import Membership
from consumer.ledger.ledger import Ledger
from consumer.ledger.probes import Probed
from consumer.ledger.views import Held, Past
from consumer.listener.listener import Listener
from consumer.listener.pressure import in_short
from consumer.neighbours import Neighbours
from consumer.settings import Settings
from consumer.status import HELD, STOPPED, Status, write_status
from consumer.trouble import Trouble
from schemas.cycle import CycleKind

log = structlog.get_logger()

_TICK = 0.5
_AFTER_TROUBLE = 2.0
_STATUS_EVERY = 1.0
_REPORT_EVERY = 3.0
_LISTENER_GRACE = 10.0


class Service:
    """One running service. `stop` may be called from a signal handler."""

    def __init__(self, settings: Settings, ledger: Ledger, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._stopping = False  # a plain flag: setting an event in a signal handler can deadlock
        self._woken = threading.Event()
        self._own = identity(settings.state_dir)
        self._listener = Listener(settings, ledger.intake, clock, self._woken.set, self._own.id)
        self._leadership = Leadership(ledger.leases, self._own.id, settings.lease.patience, name=self._own.name)
        self._candidacy = Candidacy()
        self._others = Others(ledger.instances, self._own.id)
        member = Membership(ledger.ledger_id, self._own.id)
        self._neighbours = Neighbours(settings.kafka, member, self._others.heard_within)
        self._supervisor = Supervisor(settings, ledger, self._leadership, self._woken.set)
        self._prober = Prober(settings, ledger, self._leadership, self._supervisor.warm)
        topic = settings.dead_letters.topic
        self._publisher = Publisher(settings.kafka, topic, ledger.letters) if topic else None
        self._schedule = Schedule(settings.schedule, self._on_schedule)
        self._resumed = False
        self._full_retrain_due: float | None = None
        self._decision: Start | Probe | Wait | None = None
        self._held: Held | None = None
        self._status_at = self._reported_at = 0.0
        self._told = _Told()
        self._trouble = Trouble("trouble with ledger or disk", "ledger and disk work again", clock)
        self._unwritten = Trouble("cannot write the status file", "the status file is written again", clock)

    def stop(self) -> None:
        """Stop in good order, within a few seconds: a cycle under way is given up and resumed at the next start."""
        self._stopping = True

    def run(self) -> None:
        """Serve until stopped.

        Raises:
            Whatever ended the listener for good.
        """
        self._listener.start()
        self._neighbours.start()
        self._schedule.start()
        try:
            while not self._stopping and self._listener.is_alive():
                self._woken.wait(_TICK if self._turned() else _AFTER_TROUBLE)
                self._woken.clear()
        finally:
            self._end()
        if self._listener.failure is not None:
            raise self._listener.failure

    def _turned(self) -> bool:
        """One turn; False when ledger or disk could not be used, which ends nothing: they may come back."""
        try:
            self._turn(self._clock())
        except LeaseLost as error:
            self._leadership.lose(str(error))
            self._let_go()
        except (DBAPIError, OSError) as error:
            self._trouble.met(in_short(error))
            self._write_status(self._state(), self._clock())
            return False
        self._trouble.over()
        return True

    def _turn(self, now: float) -> None:
        if self._full_retrain_due is not None:
            self._ledger.asked.ask_by_schedule(CycleKind.FULL, self._full_retrain_due)
            self._full_retrain_due = None
        self._report(now)
        if not self._leadership.holds(now, candidate=self._stands()):
            self._let_go()
            self._decision, self._held = Wait(Hold.ELSEWHERE), None
            backlog = self._ledger.views.backlog()
            self._tell(now, backlog.untried, backlog.untried_labels)
            return
        self._run_cycles(now)

    def _run_cycles(self, now: float) -> None:
        if not self._resumed:
            self._supervisor.resume(now)
            self._resumed = True
            if self._publisher:  # here, so that one instance copies a letter and not all of them
                self._publisher.start()
        self._supervisor.tick(now)
        self._prober.tick(now)
        if not self._prober.busy:
            self._supervisor.warm_up(now)
        past = self._ledger.views.past()
        state = trigger_state(self._ledger, past, busy=self._supervisor.busy, caught_up=self._all_caught_up())
        if self._settings.trigger.regret is not None:
            state = with_probe(state, self._ledger.probes.last(), busy=self._prober.busy)
        self._held = past.held
        self._decision = decide(self._settings.trigger, state, now)
        self._tell(now, state.pending_users, state.pending_labels)
        if isinstance(self._decision, Start):
            self._start(self._decision, now)
        elif isinstance(self._decision, Probe):
            self._prober.begin(now)

    def _let_go(self) -> None:
        """Whatever was begun while we ran cycles is another instance's now."""
        self._prober.stop(grace=0.0)
        if self._resumed or self._supervisor.busy:
            self._supervisor.abandon()
            self._resumed = False
            if self._publisher:
                self._publisher.stop()

    def _report(self, now: float) -> None:
        """Tell the other instances, by the ledger, how this one is."""
        if now - self._reported_at >= _REPORT_EVERY:
            self._ledger.instances.report(self._own.id, self._status(self._state(), now), now, self._own.name)
            self._others.look()
            self._reported_at = now

    def _stands(self) -> bool:
        """Whether this instance should run cycles, rather than one that can read where this one cannot."""
        return self._candidacy.stands(
            reads=self._listener.hearing.unable is None,
            others_read=self._others.anybody_reads(),
            holds=self._leadership.held,
            busy=self._supervisor.busy,
        )

    def _all_caught_up(self) -> bool:
        """Whether this instance, and those of the others that can read, have read what their partitions held."""
        return self._others.caught_up() and self._listener.hearing.complete

    def _start(self, decision: Start, now: float) -> None:
        if decision.kind is CycleKind.INCREMENTAL and self._ledger.views.backlog().empty:
            log.info("nothing is pending, nothing to train")
            self._ledger.asked.drop_incremental(fence=self._leadership.fence)
            return
        self._supervisor.start(decision.kind, decision.reason.value, now)

    def _on_schedule(self, tick: float) -> None:
        """Runs in the schedule's thread; the ledger hears of it in the next turn that can reach it."""
        self._full_retrain_due = tick
        self._woken.set()

    def _tell(self, now: float, pending: int, pending_labels: int) -> None:
        if now - self._status_at < _STATUS_EVERY:
            return
        self._status_at = now
        hearing = self._listener.hearing
        heard = _Told(hearing.events, hearing.ignored, hearing.dead)
        if heard != self._told:
            log.info(
                "changes",
                events=heard.events,
                ignored=heard.ignored,
                dead=heard.dead,
                pending=pending,
                **({"pending_labels": pending_labels} if self._settings.labels else {}),
                lag=hearing.lag,
            )
            self._told = heard
        self._write_status(self._state(), now)

    def _state(self) -> str:
        hearing = self._listener.hearing
        if hearing.held or hearing.trouble:
            return hearing.held or hearing.state
        if self._trouble.reason:
            return "in trouble"
        return "training" if self._supervisor.busy else HELD if self._held else hearing.state

    def _status(self, state: str, now: float) -> Status:
        hearing = self._listener.hearing
        return Status(
            pid=os.getpid(),
            state=state,
            written_at=now,
            polled_at=hearing.polled_at,
            lag=hearing.lag,
            hold=self._decision.hold.value if isinstance(self._decision, Wait) else None,
            cycle=self._supervisor.view(now),
            runs_cycles=self._leadership.held,
            partitions=hearing.partitions,
            caught_up=hearing.complete,
            unable=hearing.unable,
            trouble=hearing.trouble or self._trouble.reason or self._neighbours.trouble or self._unwritten.reason,
            held=self._held.in_words if self._held else None,
        )

    def _write_status(self, state: str, now: float) -> None:
        try:
            unwritten = write_status(self._settings.status_file, self._status(state, now))
        except OSError as error:
            unwritten = str(error)
        if unwritten:
            self._unwritten.met(unwritten)
        else:
            self._unwritten.over()

    def _end(self) -> None:
        log.info("stopping")
        self._listener.stop()
        self._schedule.stop()
        self._neighbours.stop()
        if self._publisher:
            self._publisher.stop()
        self._prober.stop(self._settings.trainer.stop_grace)
        self._supervisor.stop()
        self._listener.join(_LISTENER_GRACE)
        with suppress(DBAPIError):  # then the others wait out their patience
            self._leadership.release(self._clock())
            self._ledger.instances.leave(self._own.id)
        self._write_status(STOPPED, self._clock())
        log.info("stopped")


@dataclass(frozen=True, slots=True)
class _Told:
    """The counts that were last logged."""

    events: int = 0
    ignored: int = 0
    dead: int = 0


def trigger_state(ledger: Ledger, past: Past, *, busy: bool, caught_up: bool) -> TriggerState:
    """What the trigger decides by, as ledger and listener know it now."""
    backlog = ledger.views.backlog()
    return TriggerState(
        pending_users=backlog.untried,
        known_users=past.known_users,
        pending_labels=backlog.untried_labels,
        known_labels=past.known_labels,
        oldest_change=backlog.oldest_change,
        newest_change=backlog.newest_change,
        last_cycle_end=past.last_end,
        last_cycle_failed=past.last_failed,
        has_champion=past.champion is not None,
        rejections_in_a_row=past.rejections_in_a_row,
        held_in_a_row=past.held.in_a_row if past.held else 0,
        held_asks_full=past.held is not None and past.held.asks_full is not None,
        cycle_running=busy,
        caught_up=caught_up,
        asked=ledger.asked.open("operator"),
        full_retrain_due=ledger.asked.open("schedule") is not None,
        drifted=ledger.asked.why_full() is not None,
        last_full_end=past.last_full_end,
    )


def with_probe(state: TriggerState, last: Probed | None, *, busy: bool) -> TriggerState:
    """The same, with what the last probe found, if it still counts."""
    if last is None:
        return replace(state, probing=busy)
    return replace(state, probing=busy, probed_at=last.at, probed_changes=last.changes, regret=last.lost)
