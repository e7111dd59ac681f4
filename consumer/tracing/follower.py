"""Tells the collector of each cycle that has ended. No cycle waits for it, and after an hour it gives a cycle up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.ledger.ledger import Ledger
from consumer.ledger.past_cycles import find_ended
from consumer.listener.ledger_backoff import in_short
from consumer.routine import Routine
from consumer.settings import Settings
from consumer.tracing.spans import Span, spans_of
from consumer.tracing.told import Told
from consumer.trouble import Trouble
from schemas.log_events.tracing import TRACES_GIVEN_UP, TRACES_NOT_SENT, TRACES_SENT_AGAIN

log = structlog.get_logger()

KEPT_FOR = 3600.0
"""Seconds since its end after which a cycle is not told any more."""
_LOOK_EVERY = 2.0
_FIRST_WAIT, _LONGEST_WAIT = 10.0, 600.0
_AT_ONCE = 20


class Sends(Protocol):
    """What carries spans to a collector."""

    def send(self, cycle_id: str, spans: list[Span]) -> None:
        """Send the trace of a cycle; raises where the collector has not taken it."""

    def close(self) -> None:
        """End a `send` of another thread within seconds."""


class TraceTeller(Routine):
    """A follower (`consumer.followers`) that tells of cycles.

    Args:
        ledger: where they are on record.
        told: which were told.
        sender: makes what carries them, again at each start.
        now: seconds since the epoch.
        elapsed: seconds, of a clock that nobody sets.
    """

    def __init__(
        self,
        ledger: Ledger,
        told: Told,
        sender: Callable[[], Sends],
        now: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._told = told
        self._make = sender
        self._now = now
        self._trouble = Trouble(TRACES_NOT_SENT, TRACES_SENT_AGAIN, elapsed)
        self._wait = _FIRST_WAIT
        self._sender: Sends | None = None
        super().__init__("traces", self._run, self._close)

    def _close(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            stopping.wait(self.turn(stopping))

    def turn(self, stopping: threading.Event | None = None) -> float:
        """Tell what is to be told, up to the first failure; gives the seconds until the next turn."""
        try:
            self._sender = sender = self._sender or self._make()
            for cycle in self._due():
                if stopping is not None and stopping.is_set():
                    return 0.0
                sender.send(cycle["cycle_id"], spans_of(cycle))
                self._told.note(cycle["number"])
                self._trouble.over()
        except DBAPIError as error:
            self._trouble.met(f"the ledger: {in_short(error)}")
            return _LOOK_EVERY
        except Exception as error:  # noqa: BLE001  (whatever it is, no cycle ends over its trace)
            if stopping is not None and stopping.is_set():
                return 0.0
            self._trouble.met(str(error) or type(error).__name__)
            wait, self._wait = self._wait, min(2 * self._wait, _LONGEST_WAIT)
            return wait
        self._wait = _FIRST_WAIT
        return _LOOK_EVERY

    def _due(self) -> list[dict[str, Any]]:
        """Cycles that ended since those that were told; what is too old is given up."""
        last, oldest = self._told.last(), self._now() - KEPT_FOR
        found = find_ended(self._ledger.engine, last, oldest, _AT_ONCE)
        if found.too_old:
            if last:  # before the first one nothing was promised
                log.warning(TRACES_GIVEN_UP, cycles=found.too_old, reason=self._trouble.reason)
            self._told.note(found.last_too_old)
        return found.cycles


def teller(settings: Settings, ledger: Ledger) -> TraceTeller:
    """The follower that the settings ask for. OpenTelemetry is imported by its thread."""

    def sender() -> Sends:
        from consumer.tracing.sending import TraceSender

        return TraceSender(settings.tracing)

    return TraceTeller(ledger, Told(settings.state_dir, ledger.ledger_id), sender)
