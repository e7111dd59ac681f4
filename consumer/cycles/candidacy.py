"""Whether an instance stands for the lease: one that cannot read its topic leaves it to one that can.

Who runs cycles decides when they start, and waits for what it is to read itself: for ever, where it cannot. Where
nobody can read, somebody holds the lease all the same: an operator may ask for a cycle.
"""

from __future__ import annotations

import time
from collections.abc import Callable

_GIVEN_BACK_AFTER = 10.0  # seconds; a rebalance or a short trouble of the broker is no reason


class Candidacy:
    """One instance's. `clock` is one that nobody sets."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def stands(self, *, reads: bool, others_read: bool, holds: bool, busy: bool) -> bool:
        """Whether the lease is wanted, to be asked in each turn.

        Args:
            reads: whether this instance can read.
            others_read: whether another one is known to.
            holds: whether this one has the lease. Then it keeps it for a while: reading may come back.
            busy: whether it has a cycle under way. Then it keeps it to the end of that: another would begin it anew.
        """
        if reads or not others_read:
            self._since = None
            return True
        now = self._clock()
        self._since = now if self._since is None else self._since
        return holds and (busy or now - self._since < _GIVEN_BACK_AFTER)
