"""Carries what waits in the ledger to one channel.

What the channel has is noted as sent. After a crash in between it is sent again, under the same id. One that fails
holds up those behind it, so that a channel gets them in order; other channels do not wait.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Generic

from sqlalchemy.exc import DBAPIError

from consumer.listener.ledger_backoff import in_short
from consumer.sending.patience import Patience
from consumer.sending.ports import Gone, Item, NotSent, Queue
from consumer.trouble import Trouble
from schemas.fault_points import Point, reached

_IDLE = 1.0  # seconds between looks at a queue that had nothing, and after the ledger refused
_GONE_EVERY = 3600.0  # seconds between looks whether something is to be given up, where the receiver is gone


class Courier(Generic[Item]):
    """Sends what waits in one queue.

    Args:
        queue: leads to the channel.
        patience: with the channel.
        trouble: that the channel does not take anything.
        now: seconds since the epoch.
        draw: numbers from 0 to 1.
    """

    def __init__(
        self,
        queue: Queue[Item],
        patience: Patience,
        trouble: Trouble,
        now: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._queue = queue
        self._patience = patience
        self._trouble = trouble
        self._now = now
        self._draw = draw
        self._failures = 0
        self._gone = False
        self._unnoted: Item | None = None

    def run(self, stopping: threading.Event) -> None:
        """Send until `stopping`."""
        try:
            while not stopping.is_set():
                stopping.wait(self.turn(stopping))
        finally:
            self._queue.close()

    def turn(self, stopping: threading.Event | None = None) -> float:
        """Send what waits, up to the first failure; gives the seconds until the next turn."""
        try:
            if self._gone:
                self._give_up(self._now() - self._patience.gives_up_after, "the receiver is gone")
                return _GONE_EVERY
            self._note()
            found = self._queue.waiting()
            for item in found:
                if stopping is not None and stopping.is_set():
                    break
                if (wait := self._carry(item)) is not None:
                    return wait
        except DBAPIError as error:
            self._trouble.met(f"the ledger: {in_short(error)}")
            return _IDLE
        if not found or self._failures == 0:
            self._trouble.over()
        return 0.0 if found else _IDLE

    def _carry(self, item: Item) -> float | None:
        """Send one; gives how long to wait where that failed."""
        reached(Point.TELLING)
        try:
            self._queue.send(item)
        except Gone as error:
            self._gone = True
            self._queue.tell_gone(str(error))
            self._queue.note_refused(item, str(error))
            return _IDLE
        except NotSent as error:
            return self._failed(item, str(error), error.asked)
        except Exception as error:  # noqa: BLE001  (whatever it is, the item waits in the ledger)
            self._queue.close()
            return self._failed(item, str(error) or type(error).__name__)
        reached(Point.TOLD)
        self._failures = 0
        self._unnoted = item
        self._note()
        self._trouble.over()
        self._queue.tell_sent(item)
        return None

    def _note(self) -> None:
        """Note what was sent; while the ledger refuses the note, only the note is tried again."""
        if self._unnoted is not None:
            self._queue.note_sent(self._unnoted)
            self._unnoted = None

    def _failed(self, item: Item, reason: str, asked: float | None = None) -> float:
        self._failures += 1
        wait = self._patience.wait(self._failures, self._draw(), asked)
        self._trouble.met(reason)
        self._queue.note_refused(item, reason)
        if (before := self._patience.gives_up_before(self._failures, self._now())) is not None:
            self._give_up(before, reason)
        return wait

    def _give_up(self, before: float, reason: str) -> None:
        if count := self._queue.give_up(before, reason):
            self._queue.tell_given_up(count, reason)
