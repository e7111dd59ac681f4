"""The deadline of one-shot commands: none waits for ever for a broker, a cluster or a service that is away."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from consumer.errors import ConsumerError

WITHOUT_PROGRESS = 60.0
"""The default, in seconds."""
HELP = "Seconds without progress after which the command gives up, with exit code 1; 0 waits for ever."


class TimedOut(ConsumerError):  # noqa: N818  (a signal, not a fault of ours)
    """There was no progress for as long as the command may wait; the message says for what it waited."""


class Deadline:
    """How long a command still waits. Each piece of progress starts the wait again.

    Args:
        seconds: how long the command waits without progress; 0 for ever.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(self, seconds: float = WITHOUT_PROGRESS, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._since = clock()

    def moved(self) -> None:
        """There was progress."""
        self._since = self._clock()

    @property
    def left(self) -> float:
        """Seconds until the deadline, without progress; infinite where there is none."""
        return math.inf if self.seconds == 0 else max(0.0, self._since + self.seconds - self._clock())

    def check(self, what: str) -> None:
        """End the command if there was no progress for too long.

        Args:
            what: what did not happen, such as "broker x:9092 did not answer".

        Raises:
            TimedOut: the deadline is over.
        """
        if self.left == 0.0:
            raise TimedOut(f"{what} for {self.seconds:g} s (--timeout)")
