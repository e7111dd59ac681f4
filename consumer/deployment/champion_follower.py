"""A thread that brings the champion to one place, again after every change of the champion, forwards or back.

What is there is compared with the ledger, so a crash in between is made good by the next look, on any instance.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from sqlalchemy.exc import DBAPIError

from consumer.database.engine import reading
from consumer.errors import ConsumerError
from consumer.ledger.champions import champion
from consumer.ledger.ledger import Ledger
from consumer.routine import Routine
from consumer.trouble import Trouble

_LOOK_EVERY = 2.0


class NotBrought(ConsumerError):  # noqa: N818
    """A version is not where it belongs. `again` says whether another try soon may help."""

    def __init__(self, message: str, *, again: bool) -> None:
        super().__init__(message)
        self.again = again


class Carrier(Protocol):
    """Brings versions to one place."""

    @property
    def name(self) -> str:
        """What the status calls the place."""

    def there(self) -> int | None:
        """The version that is there, if that costs nothing to know; None where it is not known."""

    def bring(self, version: int) -> str:
        """Bring a version there, which may take minutes; returns what is there now, in words.

        Raises:
            NotBrought: the version is not there.
            OSError: no process could be started.
        """

    def give_up(self) -> None:
        """End a `bring` of another thread within seconds."""


def wait_after(failures: int, *, again: bool) -> float:
    """Seconds until the next try after so many failures in a row: from 5 s to 10 min, or, where another try soon does
    not help, from 10 min to 6 h."""
    first, longest = (5.0, 600.0) if again else (600.0, 21_600.0)
    return min(longest, first * 2.0 ** min(failures - 1, 20))


class ChampionFollower(Routine):
    """See the module; a `Follower` (`consumer.followers`).

    Args:
        ledger: says who the champion is.
        carrier: brings it.
        trouble: how trouble is logged.
        clock: seconds of a clock that nobody sets.
    """

    def __init__(
        self, ledger: Ledger, carrier: Carrier, trouble: Trouble, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ledger = ledger
        self._carrier = carrier
        self._clock = clock
        self._trouble = trouble
        self._words = "not looked at yet"
        super().__init__(f"champion-{carrier.name}", self._run, carrier.give_up)

    @property
    def name(self) -> str:
        """What the status calls the place."""
        return self._carrier.name

    @property
    def words(self) -> str:
        """What is there, or why the champion is not."""
        return self._words

    def _run(self, stopping: threading.Event) -> None:
        brought: int | None = None
        tried: int | None = None
        failures, due, pause = 0, 0.0, 0.0
        while not stopping.wait(pause):
            pause = _LOOK_EVERY
            try:
                with reading(self._ledger.engine) as connection:
                    wanted = champion(connection)
                if wanted is None or (wanted == brought and self._carrier.there() in {None, wanted}):
                    continue
                if wanted != tried:
                    failures, due = 0, 0.0
                if self._clock() < due:
                    continue
                tried = wanted
                self._words = self._carrier.bring(wanted)
            except (NotBrought, DBAPIError, OSError) as error:
                if stopping.is_set():
                    return
                failures += 1
                due = self._clock() + wait_after(failures, again=getattr(error, "again", True))
                self._words = f"version {tried} is not there: {error}" if tried else str(error)
                self._trouble.met(str(error))
            else:
                brought, failures = wanted, 0
                self._trouble.over()
