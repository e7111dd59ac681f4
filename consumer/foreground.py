"""One cycle at an operator's word: run here when no service is running, else asked of the service and waited for."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from consumer.errors import AlreadyRunning, ConsumerError
from consumer.ledger.ledger import Ledger
from consumer.ledger.tables import PENDING
from consumer.lock import only_one
from consumer.settings import Settings
from consumer.status import read_status
from consumer.supervisor import Supervisor
from consumer.trigger import Reason
from schemas.cycle import CycleKind

_TURN = 0.5


def run_cycle(settings: Settings, ledger: Ledger, kind: CycleKind, say: Callable[[str], None]) -> dict[str, Any] | None:
    """Have a cycle of this kind run and wait for its end.

    Returns:
        The cycle as `Views.cycles` gives it; None when nothing is pending, so that there was nothing to do.

    Raises:
        ConsumerError: interrupted, or the service that was asked has stopped.
    """
    try:
        with only_one(settings.state_dir):
            return _run_here(settings, ledger, kind, say)
    except AlreadyRunning:
        return _ask_service(settings, ledger, kind, say)


def _run_here(settings: Settings, ledger: Ledger, kind: CycleKind, say: Callable[[str], None]) -> dict[str, Any] | None:
    woken = threading.Event()
    supervisor = Supervisor(settings, ledger, woken.set)
    with _interruptible() as interrupted:
        try:
            if supervisor.resume(time.time()):
                say("finishing the cycle that was cut short first")
                _until_idle(supervisor, woken, interrupted)
            if kind is CycleKind.INCREMENTAL and ledger.views.backlog().users == 0:
                return None
            has_champion = ledger.views.past().champion is not None
            reason = Reason.REPLAY if kind is CycleKind.BACKFILL else Reason.OPERATOR
            supervisor.start(kind if has_champion else CycleKind.BOOTSTRAP, reason.value, time.time())
            _until_idle(supervisor, woken, interrupted)
        finally:
            supervisor.stop()
    return ledger.views.cycles()[-1]


def _until_idle(supervisor: Supervisor, woken: threading.Event, interrupted: list[int]) -> None:
    while supervisor.busy:
        if interrupted:
            raise ConsumerError("interrupted; the cycle is resumed by the next `retrainer run` or `retrainer train`")
        supervisor.tick(time.time())
        woken.wait(_TURN)
        woken.clear()


def _ask_service(
    settings: Settings, ledger: Ledger, kind: CycleKind, say: Callable[[str], None]
) -> dict[str, Any] | None:
    number = ledger.asked.ask(kind, "operator", time.time())
    say("asked the running service; waiting for its cycle")
    with _interruptible() as interrupted:
        while True:
            if interrupted:
                raise ConsumerError("interrupted; the service runs the cycle all the same")
            if (cycle_id := ledger.asked.taken_up(number)) is not None:
                if cycle_id == PENDING:
                    return None
                found = next(cycle for cycle in ledger.views.cycles() if cycle["cycle_id"] == cycle_id)
                if found["ended_at"] is not None:
                    return found
            service = read_status(settings.status_file)
            if service is not None and not service.alive(time.time()):
                raise ConsumerError("the service has stopped; it runs the cycle when it is started again")
            time.sleep(_TURN)


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """A list that SIGINT and SIGTERM append themselves to, while the block runs."""
    caught: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda came, _frame: caught.append(came)) for number in numbers}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
