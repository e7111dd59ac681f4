"""Which instance runs cycles: the one that holds the lease. The others stand by and watch it.

The holder renews the lease; whoever has seen no renewal for as long as its patience lasts takes over. Each instance
measures that by its own clock, so two machines' clocks are never compared (as Kubernetes elects its leaders). A holder
that was merely stalled finds its token outdated: the ledger refuses its writes, and so does the registry.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.errors import LeaseLost
from consumer.ledger.leases import Lease, Leases
from schemas.fault_points import Point, reached

log = structlog.get_logger()

_RENEWALS = 3  # within the patience of the others


def instance_name(state_dir: Path) -> str:
    """What an instance is known by. One process at a time works on a state folder of a machine (`consumer.lock`)."""
    return f"{socket.gethostname()}:{state_dir}"


class Leadership:
    """One instance's view of the lease.

    Args:
        leases: where it is kept.
        name: this instance. Who comes back under the holder's name takes over at once: the other is gone.
        patience: seconds without a renewal after which another instance takes over.
        clock: by which that is measured; one that nobody sets. Times that are passed in are for people.
    """

    def __init__(self, leases: Leases, name: str, patience: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.previous: int | None = None
        """The token before ours: whatever bears it was done while nobody else ran cycles."""
        self.rival: Lease | None = None
        """The lease as another instance holds it, as far as we know."""
        self._leases = leases
        self._name = name
        self._patience = patience
        self._clock = clock
        self._lease: Lease | None = None
        self._renewed_at = 0.0
        self._rival_since: float | None = None
        self._just_started = True

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

    def holds(self, now: float) -> bool:
        """Keep the lease renewed, or try to get it; says whether we have it."""
        if self._lease is None:
            return self._seek(now)
        if self._clock() - self._renewed_at >= self._patience / _RENEWALS:
            try:
                self.confirm(now)
            except LeaseLost as error:
                self.lose(str(error))
        return self.held

    def confirm(self, now: float) -> None:
        """Renew the lease now.

        Raises:
            LeaseLost: somebody else has it.
        """
        if self._lease is None:
            raise LeaseLost("this instance does not hold the lease any more")
        self._lease = self._leases.renew(self._lease, now)
        reached(Point.LEASE_RENEWED)
        self._renewed_at = self._clock()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Have the lease renewed meanwhile, by a thread: to claim millions of users may take longer than the patience.

        Raises:
            LeaseLost: somebody else has it by the end.
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
                    continue  # the ledger's lock is held for long, or it cannot be reached: it may be the next time

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
        """Stand by: the lease is somebody else's."""
        if self.held:
            log.warning("another instance runs cycles now", reason=reason)
        self._lease = self.rival = self._rival_since = None

    def release(self, now: float) -> None:
        """Leave the lease to whoever wants it, before this instance ends."""
        if self._lease is not None:
            self._leases.release(self._lease, now)
            self._lease = None

    def _seek(self, now: float) -> bool:
        current, watch = self._leases.current(), self._clock()
        if self._rival_since is None or current != self.rival:
            if self._rival_since is None and current is not None and current.holder not in {"", self._name}:
                log.info("standing by", runs_cycles=current.holder)
            self.rival, self._rival_since = current, watch
        back = self._just_started and current is not None and current.holder == self._name
        left = current is None or not current.holder or watch - self._rival_since >= self._patience
        self._just_started = False
        if not (back or left):
            return False
        taken = self._leases.take(self._name, current, now)
        if taken is None:
            return False  # somebody was faster
        reached(Point.LEASE_TAKEN)
        if left and current is not None and current.holder:
            log.warning("taking over", from_instance=current.holder, silent_s=round(watch - self._rival_since, 1))
        self.previous = current.token if current else None
        self._lease, self._renewed_at = taken, watch
        self.rival = self._rival_since = None
        log.info("running cycles", token=taken.token)
        return True
