"""Backpressure: while the ledger does not take changes nothing is fetched, and each new attempt waits longer.

What the ledger refuses is read again from its offsets, so nothing has to be kept meanwhile: the topic is the buffer.
"""

from __future__ import annotations

from collections.abc import Callable

from consumer.trouble import Trouble
from schemas.log_events.listener import LEDGER_REFUSES_CHANGES, LEDGER_TAKES_CHANGES

_FIRST_WAIT = 1.0
_LONGEST_WAIT = 30.0


class LedgerBackoff:
    """Whether the ledger takes changes, and when to try again: after 1 s, 2 s, 4 s, at most 30 s."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._trouble = Trouble(LEDGER_REFUSES_CHANGES, LEDGER_TAKES_CHANGES, clock)
        self._wait = _FIRST_WAIT
        self._offer_at = 0.0

    @property
    def reason(self) -> str | None:
        """Why the ledger does not take changes; None while it does."""
        return self._trouble.reason

    @property
    def due(self) -> bool:
        """Whether the ledger may be tried now."""
        return self.reason is None or self._clock() >= self._offer_at

    def refused(self, error: Exception) -> None:
        """The ledger did not take a batch, or could not be asked where reading goes on."""
        self._trouble.met(in_short(error))
        self._offer_at = self._clock() + self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT)

    def took(self) -> None:
        """The ledger took a batch, or there is nothing left that it could refuse."""
        self._trouble.over()
        self._wait = _FIRST_WAIT


def in_short(error: Exception) -> str:
    """What a database says, without the statement and its thousands of parameters."""
    return str(getattr(error, "orig", None) or error).strip() or type(error).__name__
