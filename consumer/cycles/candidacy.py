"""Whether an instance wants the lease: an instance that cannot read its topic leaves the lease to one that can.

The instance that runs cycles waits until it has read its own partitions, and would wait for ever where it cannot read.
Where no instance can read, one of them holds the lease all the same: an operator may ask for a cycle.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_GIVEN_BACK_AFTER = 10.0  # seconds; a rebalance or a short trouble of the broker is no reason


class Candidacy:
    """The candidacy of one instance; `clock` counts seconds and is set by nobody."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def stands(self, *, reads: bool, others_read: bool, holds: bool, busy: bool) -> bool:
        """Whether the instance wants the lease; the service asks in each turn.

        Args:
            reads: whether this instance can read.
            others_read: whether another instance is known to read.
            holds: whether this instance has the lease. It keeps the lease for a while: reading may come back.
            busy: whether a cycle is under way. The instance keeps the lease until the cycle ends: another instance
                would begin the cycle from its first step.
        """
        if reads or not others_read:
            self._since = None
            return True
        now = self._clock()
        self._since = now if self._since is None else self._since
        return holds and (busy or now - self._since < _GIVEN_BACK_AFTER)
