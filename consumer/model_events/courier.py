"""Carries model events from the outbox to one channel.

An event is noted as sent once the channel has it. After a crash in between it is sent again, under the same id. One
that fails holds up those behind it, so that a channel gets them in order; the other channel does not wait.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.ledger.outbox import Channel, Outbox, Waiting
from consumer.listener.ledger_backoff import in_short
from consumer.model_events.envelope import Envelope
from consumer.model_events.patience import Patience
from consumer.model_events.ports import Gone, NotSent, Sender
from consumer.trouble import Trouble
from schemas.fault_points import Point, reached
from schemas.log_events.model_events import (
    MODEL_EVENT_SENT,
    MODEL_EVENTS_GIVEN_UP,
    MODEL_EVENTS_NOT_SENT,
    MODEL_EVENTS_SENT_AGAIN,
    WEBHOOK_GONE,
)

log = structlog.get_logger()

_IDLE = 1.0  # seconds between looks at an outbox that had nothing, and after the ledger refused
_GONE_EVERY = 3600.0  # seconds between looks whether events are to be given up, where the receiver is gone


class Courier:
    """Sends what waits in the outbox for one channel.

    Args:
        outbox: of the ledger.
        envelope: makes events of its rows.
        sender: the channel.
        patience: with the channel.
        now: seconds since the epoch.
        elapsed: seconds, of a clock that nobody sets.
        draw: numbers from 0 to 1.
    """

    def __init__(
        self,
        outbox: Outbox,
        envelope: Envelope,
        sender: Sender,
        patience: Patience,
        now: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._envelope = envelope
        self._sender = sender
        self._patience = patience
        self._now = now
        self._draw = draw
        self._trouble = Trouble(MODEL_EVENTS_NOT_SENT, MODEL_EVENTS_SENT_AGAIN, elapsed)
        self._failures = 0
        self._gone = False
        self._unnoted: int | None = None

    def run(self, stopping: threading.Event) -> None:
        """Send until `stopping`."""
        try:
            while not stopping.is_set():
                stopping.wait(self.turn(stopping))
        finally:
            self._sender.close()

    def turn(self, stopping: threading.Event | None = None) -> float:
        """Send what waits, up to the first failure; gives the seconds until the next turn."""
        try:
            if self._gone:
                self._give_up(self._now() - self._patience.gives_up_after, "the receiver is gone")
                return _GONE_EVERY
            self._note()
            found = self._outbox.waiting(self._sender.channel)
            for waiting in found:
                if stopping is not None and stopping.is_set():
                    break
                if (wait := self._carry(waiting)) is not None:
                    return wait
        except DBAPIError as error:
            self._trouble.met(f"the ledger: {in_short(error)}")
            return _IDLE
        if not found or self._failures == 0:
            self._trouble.over()
        return 0.0 if found else _IDLE

    def _carry(self, waiting: Waiting) -> float | None:
        """Send one event; gives how long to wait where that failed."""
        reached(Point.TELLING)
        try:
            self._sender.send(self._envelope.event(waiting))
        except Gone as error:
            self._gone = True
            log.error(WEBHOOK_GONE, reason=str(error))
            self._outbox.refused(waiting.number, str(error))
            return _IDLE
        except NotSent as error:
            return self._failed(waiting, str(error), error.asked)
        except Exception as error:  # noqa: BLE001  (whatever it is, the event waits in the ledger)
            self._sender.close()
            return self._failed(waiting, str(error) or type(error).__name__)
        reached(Point.TOLD)
        self._failures = 0
        self._unnoted = waiting.number
        self._note()
        self._trouble.over()
        log.info(
            MODEL_EVENT_SENT,
            type=waiting.type.value,
            version=waiting.facts.version,
            cycle_id=waiting.facts.cycle_id,
            id=waiting.event_id,
            channel=self._sender.channel.value,
        )
        return None

    def _note(self) -> None:
        """Note the event that was sent; while the ledger refuses the note, only the note is tried again."""
        if self._unnoted is not None:
            self._outbox.sent(self._sender.channel, self._unnoted)
            self._unnoted = None

    def _failed(self, waiting: Waiting, reason: str, asked: float | None = None) -> float:
        self._failures += 1
        wait = self._patience.wait(self._failures, self._draw(), asked)
        self._trouble.met(reason)
        if self._sender.channel is Channel.WEBHOOK:
            self._outbox.refused(waiting.number, reason)
        if (before := self._patience.gives_up_before(self._failures, self._now())) is not None:
            self._give_up(before, reason)
        return wait

    def _give_up(self, before: float, reason: str) -> None:
        if count := self._outbox.give_up(before, reason):
            log.error(MODEL_EVENTS_GIVEN_UP, events=count, reason=reason)
