"""A URL that is asked while the service works: whoever watches it tells when that stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from consumer.sending.ports import NotSent
from consumer.sending.posting import ask
from consumer.trouble import Trouble
from schemas.log_events.notifications import HEARTBEAT_TROUBLE, HEARTBEAT_WORKS

_EVERY = 60.0


class Heartbeat:
    """Asks once a minute.

    Args:
        url: https, or http on this machine.
        works: whether all is well.
        every: seconds.
    """

    def __init__(self, url: str, works: Callable[[], bool], every: float = _EVERY) -> None:
        self._url = url
        self._works = works
        self._every = every
        self._trouble = Trouble(HEARTBEAT_TROUBLE, HEARTBEAT_WORKS, time.monotonic)

    def run(self, stopping: threading.Event) -> None:
        """Ask until `stopping`."""
        while not stopping.is_set():
            stopping.wait(self.turn())

    def turn(self) -> float:
        """Ask, if all is well; gives the seconds until the next turn. While the first look is under way, soon."""
        if not self._works():
            return min(self._every, 2.0)
        try:
            ask(self._url)
        except NotSent as error:
            self._trouble.met(str(error))
        else:
            self._trouble.over()
        return self._every
