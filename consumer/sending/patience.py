"""How long a channel waits after a failure, and when it gives events up. Pure: time and chance are arguments."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """The patience with one channel. All are seconds, but for `least_tries`."""

    first: float
    """The wait after the first failure; each that follows in a row is twice as long."""
    longest: float
    """No wait is longer."""
    gives_up_after: float = math.inf
    """Age at which an event is given up, once `least_tries` in a row have failed."""
    least_tries: int = 5

    def wait(self, failures: int, draw: float, asked: float | None = None) -> float:
        """Seconds until the next try.

        Args:
            failures: in a row, at least one.
            draw: a number from 0 to 1, by which the wait becomes up to a quarter longer: not all senders come at once.
            asked: what the receiver asked for, which counts where it is longer, up to `longest`.
        """
        doubled = self.first * 2.0 ** min(failures - 1, 64)
        return min(max(doubled, asked or 0.0), self.longest) * (1 + draw / 4)

    def gives_up_before(self, failures: int, now: float) -> float | None:
        """Events from before this time are given up; None where nothing is, as too few tries have failed."""
        return None if failures < self.least_tries or math.isinf(self.gives_up_after) else now - self.gives_up_after


TOPIC = Patience(first=1.0, longest=60.0)
"""A broker comes back, and nothing is given up."""
WEBHOOK = Patience(first=5.0, longest=900.0, gives_up_after=3 * 86_400.0)
"""A receiver may be gone for good: after three days an event is given up."""
