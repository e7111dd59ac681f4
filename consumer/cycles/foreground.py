"""One cycle for an operator: run here when no service runs cycles, else requested from the service and waited for."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from consumer.cycles.champion_mirror import mirror_now
from consumer.cycles.leadership import Leadership
from consumer.cycles.supervisor import Supervisor
from consumer.cycles.trigger import Reason
from consumer.database.tables import PENDING
from consumer.deadline import Deadline, TimedOut
from consumer.errors import AlreadyRunning, ConsumerError, LeaseLost
from consumer.identity import identity
from consumer.ledger.ledger import Ledger
from consumer.lock import only_one
from consumer.settings import Settings
from consumer.stopping import stop_signals
from schemas.cycle import CycleKind
from schemas.guard import GuardName

_TURN = 0.5


def run_cycle(
    settings: Settings,
    ledger: Ledger,
    kind: CycleKind,
    say: Callable[[str], None],
    request: int | None = None,
    accept: Collection[GuardName] = (),
    deadline: Deadline | None = None,
) -> dict[str, Any] | None:
    """Have a cycle of this kind run and wait for its end; `request` is the number of a request that was made already.

    The limits in `accept` are waived for the cycle. The deadline is for a service that does not take the request up,
    and for a registry that does not say whether it has a version of a failed cycle; training has a limit of its own,
    RETRAINER_TRAINER__TIMEOUT. At the deadline a request that was made here is withdrawn; the caller's own stays.

    Returns:
        The cycle as `Views.cycle` gives it; None when nothing is pending, so that there was nothing to do.

    Raises:
        TimedOut: nothing went on for too long.
        ConsumerError: interrupted, or a person has paused cycles.
    """
    deadline = deadline or Deadline(0)
    deadline.moved()
    ours = request is None
    with _interruptible() as interrupted:
        while True:
            try:
                with only_one(settings.state_dir), _leading(settings, ledger, interrupted) as leadership:
                    return _run_here(settings, ledger, leadership, kind, say, interrupted, request, accept, deadline)
            except AlreadyRunning:
                if request is None:
                    say("asking the retrainer that runs cycles; waiting for its cycle")
                    request = ledger.retrain_requests.ask(kind, "operator", time.time(), accept)
                if _answered(settings, ledger, request, interrupted, deadline, ours=ours):
                    return _cycle_of(ledger, request)


@contextmanager
def _leading(settings: Settings, ledger: Ledger, interrupted: list[int]) -> Iterator[Leadership]:
    """The lease, while the block runs.

    Raises:
        AlreadyRunning: another instance holds the lease, and renews it.
    """
    own = identity(settings.state_dir)
    leadership = Leadership(ledger.leases, own.id, settings.lease.patience, name=own.name)
    first = None
    while not leadership.holds(time.time()):
        first = first or leadership.rival
        if interrupted:
            raise ConsumerError("interrupted before a cycle was started")
        if leadership.rival != first and leadership.rival is not None:
            raise AlreadyRunning(f"{leadership.rival.in_words} runs cycles")
        time.sleep(_TURN)
    try:
        yield leadership
    finally:
        leadership.release(time.time())


def _run_here(
    settings: Settings,
    ledger: Ledger,
    leadership: Leadership,
    kind: CycleKind,
    say: Callable[[str], None],
    interrupted: list[int],
    request: int | None,
    accept: Collection[GuardName],
    deadline: Deadline,
) -> dict[str, Any] | None:
    woken, before = threading.Event(), ledger.promotions.last()
    supervisor = Supervisor(settings, ledger, leadership, woken.set)
    try:
        if supervisor.resume(time.time()):
            say("finishing the cycle that was cut short first")
            _until_idle(supervisor, leadership, woken, interrupted, deadline)
        if request is not None and ledger.retrain_requests.taken_up(request) is not None:
            return _cycle_of(ledger, request)  # the service took it up and did not finish it; it is finished now
        _check_pause(ledger, None)  # a request that was made before waits
        if kind is CycleKind.INCREMENTAL and ledger.views.backlog().empty:
            if request is not None:
                ledger.retrain_requests.withdraw(request)
            return None
        has_champion = ledger.views.history().champion is not None
        reason = Reason.REPLAY if kind is CycleKind.BACKFILL else Reason.OPERATOR
        supervisor.start(kind if has_champion else CycleKind.BOOTSTRAP, reason.value, time.time(), accept)
        _until_idle(supervisor, leadership, woken, interrupted, deadline)
    except LeaseLost:
        supervisor.abandon()
        raise
    finally:
        supervisor.stop()
    # To ask a cluster takes seconds; what a crash left untold there is for the next promotion, or a service.
    if settings.model_registry.kind == "local" or ledger.promotions.last() != before:
        not_shown = mirror_now(settings, ledger)
        if not_shown is not None:
            say(f"the registry does not show the champion yet: {not_shown}")
    return ledger.views.cycle()


def _until_idle(
    supervisor: Supervisor,
    leadership: Leadership,
    woken: threading.Event,
    interrupted: list[int],
    deadline: Deadline,
) -> None:
    deadline.moved()
    while supervisor.busy:
        if not supervisor.only_asks:
            deadline.moved()
        deadline.check(
            "the registry did not say whether the failed cycle has a version (the next `retrainer run` or `retrainer "
            "train` asks again)"
        )
        if not leadership.holds(time.time()):
            raise LeaseLost("another instance runs cycles by now, this one too: see `retrainer versions`")
        if interrupted:
            raise ConsumerError("interrupted; the cycle is resumed by the next `retrainer run` or `retrainer train`")
        supervisor.tick(time.time())
        woken.wait(_TURN)
        woken.clear()


def _answered(
    settings: Settings, ledger: Ledger, request: int, interrupted: list[int], deadline: Deadline, *, ours: bool
) -> bool:
    """Wait until a request has been dealt with; False when no instance is there any more to deal with it.

    No instance is there when the lease is free, or was not renewed for as long as the patience lasts.

    Raises:
        TimedOut: an instance is there, runs no cycle, and has not taken the request up for too long.
    """
    lease, since = ledger.leases.current(), time.monotonic()
    while True:
        if interrupted:
            raise ConsumerError("interrupted; the service runs the cycle all the same")
        cycle = _cycle_of(ledger, request)
        if ledger.retrain_requests.taken_up(request) == PENDING or (
            cycle is not None and cycle["ended_at"] is not None
        ):
            return True
        if cycle is not None or ledger.cycles.is_any_running():
            deadline.moved()
        else:
            _check_pause(ledger, request if ours else None)
            if deadline.left == 0.0:
                _give_up(ledger, request, deadline, ours=ours)
        time.sleep(_TURN)
        if (now := ledger.leases.current()) != lease:
            lease, since = now, time.monotonic()
        if lease is None or not lease.holder or time.monotonic() - since > settings.lease.patience:
            return False


def _check_pause(ledger: Ledger, request: int | None) -> None:
    """Refuse to wait while a person has paused cycles; `request` is withdrawn, where one is given.

    Raises:
        ConsumerError: a person has.
    """
    if (paused := ledger.orders.paused()) is not None:
        if request is not None:
            ledger.retrain_requests.withdraw(request)
            if ledger.retrain_requests.taken_up(request) not in (None, PENDING):
                return
        raise ConsumerError(f"cycles are paused {paused.in_words}; `retrainer resume` lets them start again")


def _give_up(ledger: Ledger, request: int, deadline: Deadline, *, ours: bool) -> None:
    """End the wait for a request that no instance has taken up.

    Raises:
        TimedOut: unless an instance has taken it up by now.
    """
    lease = ledger.leases.current()
    who = lease.in_words if lease is not None and lease.holder else "the service"
    if ours:
        ledger.retrain_requests.withdraw(request)
    if ledger.retrain_requests.taken_up(request) not in (None, PENDING):
        return
    what_becomes = "it is withdrawn" if ours else "it stays, and is taken up when that is well"
    raise TimedOut(
        f"{who} runs cycles and has not taken up the request for {deadline.seconds:g} s (--timeout): {what_becomes}; "
        "see `retrainer status`"
    )


def _cycle_of(ledger: Ledger, request: int) -> dict[str, Any] | None:
    """The cycle that took up a request; None where there was nothing to do."""
    cycle_id = ledger.retrain_requests.taken_up(request)
    return ledger.views.cycle(cycle_id) if cycle_id else None


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """A list to which signals that ask to stop are appended while the block runs."""
    caught: list[int] = []
    before = {number: signal.signal(number, lambda came, _frame: caught.append(came)) for number in stop_signals()}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
