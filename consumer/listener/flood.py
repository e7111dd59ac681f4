"""A flood of dead letters: past a limit of open ones nothing more is read, so that the disk is not filled with them.

What does not fit is not stored, and its offsets stand still: it is read again when an operator has made room. Nothing
is lost meanwhile that the broker keeps.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.configuration.dead_letters import TOO_MANY, WAY_OUT, DeadLetterSettings
from consumer.ledger.batch import Load
from consumer.listener.pauses import Pauses
from schemas.log_events.listener import DEAD_LETTERS_NOT_COUNTED, TOO_MANY_DEAD_LETTERS

log = structlog.get_logger()


def fits(still_open: Load, more: Load, limit: Load) -> bool:
    """Whether `more` letters fit beside those that are open.

    A batch without any always fits. Beside no open ones any batch does, or one that is greater than the limit would
    never be read.
    """
    if more.letters == 0 or still_open.letters == 0:
        return True
    return still_open.letters + more.letters <= limit.letters and still_open.bytes + more.bytes <= limit.bytes


class FloodGuard:
    """Holds up reading while the open dead letters leave no room for those that came.

    Args:
        settings: the limit, and how often to look whether there is room again.
        count: the open letters, as the ledger has them. Others write it too: operators, other instances.
        pauses: where reading is held up.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(
        self, settings: DeadLetterSettings, count: Callable[[], Load], pauses: Pauses, clock: Callable[[], float]
    ) -> None:
        self._limit = Load(settings.limit, settings.megabytes * 10**6)
        self._every = settings.check_every
        self._count = count
        self._pauses = pauses
        self._clock = clock
        self._open = Load(0, 0)
        self._counted_at = float("-inf")
        self._refused: Load | None = None

    def admits(self, more: Load) -> bool:
        """Whether a batch with these dead letters may be stored. Where not, reading is held up until it may.

        Raises:
            DBAPIError: the ledger does not tell.
        """
        if more.letters == 0:
            return True
        if self._clock() - self._counted_at >= self._every or not fits(self._open, more, self._limit):
            self._look()
        if fits(self._open, more, self._limit):
            return True
        self._refused = more
        self._pauses.hold(TOO_MANY)
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
        """These are in the ledger now."""
        self._open = Load(self._open.letters + more.letters, self._open.bytes + more.bytes)

    def tick(self) -> None:
        """Let reading go on when there is room for what was refused; to be called often."""
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
            self._pauses.release(TOO_MANY)

    def _look(self) -> None:
        self._open = self._count()
        self._counted_at = self._clock()
