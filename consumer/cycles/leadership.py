"""Which instance runs cycles: the holder of the lease. The others stand by and watch the lease.

The holder renews the lease. An instance that sees no renewal for as long as its patience lasts takes over. Each
instance measures that by its own clock, so the clocks of two machines are never compared (Kubernetes elects leaders in
the same way). A holder that was only stalled finds its token outdated: the ledger refuses its writes, and so does the
registry.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.errors import LeaseLost
from consumer.ledger.leases import Lease, Leases
from schemas.fault_points import Point, reached
from schemas.log_events.service import LEASE_GIVEN_BACK, LEASE_LOST, RUNNING_CYCLES, STANDING_BY, TAKING_OVER

log = structlog.get_logger()

_RENEWALS = 3  # within the patience of the others


class Leadership:
    """One instance's view of the lease.

    Args:
        leases: where the lease is kept.
        own: the id of this instance. A lease that has the same id at the start is taken over at once: an earlier
            process on the same state folder left it, and is gone (`consumer.identity`).
        patience: seconds without a renewal after which another instance takes over.
        clock: seconds of a clock that nobody sets, for the patience. Times that are passed in are wall times.
        name: the name of this instance for people.
    """

    def __init__(
        self,
        leases: Leases,
        own: str,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        name: str = "",
    ) -> None:
        self.previous: int | None = None
        """The token before ours. A result that bears it was made while no other instance ran cycles."""
        self.rival: Lease | None = None
        """The lease of another instance, as we saw it last."""
        self._leases = leases
        self._own = own
        self._name = name
        self._patience = patience
        self._clock = clock
        self._lease: Lease | None = None
        self._renewed_at = 0.0
        self._rival_since: float | None = None
        self._looked = False
        self._left_behind: int | None = None  # the token of a lease that was ours before the start

    @property
    def held(self) -> bool:
        """Whether this instance runs cycles, as far as it knows."""
        return self._lease is not None

    @property
    def fence(self) -> int:
        """The token of our lease.

        Raises:
            LeaseLost: we have none.
        """
        if self._lease is None:
            raise LeaseLost("this instance does not hold the lease, so it must not run cycles")
        return self._lease.token

    def holds(self, now: float, *, candidate: bool = True) -> bool:
        """Keep the lease renewed, or try to get it; says whether this instance has the lease.

        An instance that is no candidate gives the lease back, and only watches.
        """
        if self._lease is not None and not candidate:
            log.warning(LEASE_GIVEN_BACK)
            self.release(now)
        if self._lease is None:
            return self._seek(now, candidate)
        if self._clock() - self._renewed_at >= self._patience / _RENEWALS:
            try:
                self.confirm(now)
            except LeaseLost as error:
                self.lose(str(error))
        return self.held

    def confirm(self, now: float) -> None:
        """Renew the lease now.

        Raises:
            LeaseLost: another instance has it.
        """
        if self._lease is None:
            raise LeaseLost("this instance does not hold the lease any more")
        self._lease = self._leases.renew(self._lease, now)
        reached(Point.LEASE_RENEWED)
        self._renewed_at = self._clock()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Have a thread renew the lease while the block runs: a claim of millions of users may outlast the patience.

        Raises:
            LeaseLost: another instance has the lease at the end.
        """
        done = threading.Event()
        lost: list[LeaseLost] = []

        def renew() -> None:
            while not done.wait(self._patience / _RENEWALS):
                try:
                    self.confirm(time.time())
                except LeaseLost as error:
                    lost.append(error)
                    return
                except DBAPIError:
                    continue  # the ledger's lock is held, or the ledger is away; the next renewal may work

        renewing = threading.Thread(target=renew, name="lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            done.set()
            renewing.join()
        if lost:
            raise lost[0]

    def lose(self, reason: str) -> None:
        """Stand by: another instance has the lease."""
        if self.held:
            log.warning(LEASE_LOST, reason=reason)
        self._lease = self.rival = self._rival_since = None

    def release(self, now: float) -> None:
        """Give the lease back before this instance ends, so that nobody has to wait."""
        if self._lease is not None:
            self._leases.release(self._lease, now)
            self._lease = None

    def _seek(self, now: float, candidate: bool) -> bool:
        current, watch = self._leases.current(), self._clock()
        if self._rival_since is None or current != self.rival:
            if self._rival_since is None and current is not None and current.holder not in {"", self._own}:
                log.info(STANDING_BY, runs_cycles=current.in_words)
            self.rival, self._rival_since = current, watch
        if not self._looked and current is not None and current.holder == self._own:
            self._left_behind = current.token
        self._looked = True
        back = current is not None and current.token == self._left_behind
        left = current is None or not current.holder or watch - self._rival_since >= self._patience
        if not candidate or not (back or left):
            return False
        taken = self._leases.take(self._own, current, now, self._name)
        if taken is None:
            return False  # another instance was faster
        reached(Point.LEASE_TAKEN)
        if left and current is not None and current.holder:
            log.warning(TAKING_OVER, from_instance=current.in_words, silent_s=round(watch - self._rival_since, 1))
        self.previous = current.token if current else None
        self._lease, self._renewed_at = taken, watch
        self.rival = self._rival_since = None
        log.info(RUNNING_CYCLES, token=taken.token)
        return True
