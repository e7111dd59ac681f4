"""A line in the log for a dead letter, but not a million for a million of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from consumer.dead_letters.letter import DeadLetter
from schemas.log_events.listener import DEAD_LETTER, DEAD_LETTERS

log = structlog.get_logger()

_SINGLY = 5  # letters of a second with a line of their own
_SECOND = 1.0


class DeadLetterLog:
    """Logs the first few letters of a second singly, and at its end how many more there were."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = float("-inf")
        self._told = 0
        self._untold = 0
        self._last: DeadLetter | None = None

    def tell(self, letters: Sequence[DeadLetter]) -> None:
        """These letters were stored."""
        self.tick()
        for letter in letters:
            if self._told < _SINGLY:
                log.warning(DEAD_LETTER, position=str(letter.position), reason=letter.reason)
                self._told += 1
            else:
                self._untold += 1
                self._last = letter

    def tick(self) -> None:
        """Log at the end of a second how many letters had no line of their own. Call it often."""
        if self._clock() - self._began < _SECOND:
            return
        if self._last is not None:
            log.warning(DEAD_LETTERS, more=self._untold, last=str(self._last.position), reason=self._last.reason)
        self._began, self._told, self._untold, self._last = self._clock(), 0, 0, None
