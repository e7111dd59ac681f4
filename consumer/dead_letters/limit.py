"""A flood of dead letters: past a limit of open letters nothing more is read, so that they do not fill the disk.

A batch that does not fit is not stored, and its offsets stand still: it is read again when an operator has made room.
Nothing is lost meanwhile that the broker keeps.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.configuration.dead_letters import WAY_OUT, DeadLetterSettings
from consumer.dead_letters.letter import Load
from schemas.log_events.listener import DEAD_LETTERS_NOT_COUNTED, TOO_MANY_DEAD_LETTERS

log = structlog.get_logger()


def fits(still_open: Load, more: Load, limit: Load) -> bool:
    """Whether `more` letters fit beside the open ones.

    A batch without letters always fits. While no letter is open any batch fits, or a batch above the limit would never
    be read.
    """
    if more.letters == 0 or still_open.letters == 0:
        return True
    return still_open.letters + more.letters <= limit.letters and still_open.bytes + more.bytes <= limit.bytes


class DeadLetterLimit:
    """Holds up reading while the open dead letters leave no room for those that came.

    Args:
        settings: the limit, and how often to look whether there is room again.
        count: the open letters in the ledger. Operators and other instances change their number, too.
        hold: holds reading up; called again for each batch that does not fit.
        release: lets it go on.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(
        self,
        settings: DeadLetterSettings,
        count: Callable[[], Load],
        hold: Callable[[], None],
        release: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._limit = Load(settings.limit, settings.megabytes * 10**6)
        self._every = settings.check_every
        self._count = count
        self._hold = hold
        self._release = release
        self._clock = clock
        self._open = Load(0, 0)
        self._counted_at = float("-inf")
        self._refused: Load | None = None

    def admits(self, more: Load) -> bool:
        """Whether a batch with these dead letters may be stored. If not, reading is held up until it may.

        Raises:
            DBAPIError: the ledger cannot be asked.
        """
        if more.letters == 0:
            return True
        if self._clock() - self._counted_at >= self._every or not fits(self._open, more, self._limit):
            self._look()
        if fits(self._open, more, self._limit):
            return True
        self._refused = more
        self._hold()
        log.error(
            TOO_MANY_DEAD_LETTERS,
            open=self._open.letters,
            megabytes=round(self._open.bytes / 1e6, 1),
            arrived=more.letters,
            limit=self._limit.letters,
            limit_megabytes=self._limit.bytes // 10**6,
            todo=WAY_OUT,
        )
        return False

    def stored(self, more: Load) -> None:
        """These letters are in the ledger now."""
        self._open = Load(self._open.letters + more.letters, self._open.bytes + more.bytes)

    def tick(self) -> None:
        """Let reading go on when there is room for the refused batch. Call it often."""
        if self._refused is None or self._clock() - self._counted_at < self._every:
            return
        try:
            self._look()
        except DBAPIError as error:
            self._counted_at = self._clock()
            log.warning(DEAD_LETTERS_NOT_COUNTED, reason=str(error))
            return
        if fits(self._open, self._refused, self._limit):
            self._refused = None
            self._release()

    def _look(self) -> None:
        self._open = self._count()
        self._counted_at = self._clock()
