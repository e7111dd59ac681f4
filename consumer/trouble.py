"""Trouble that lasts: logged when it begins, once a minute while it lasts, and when it is over."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from schemas.log_events.event import LogEvent

log = structlog.get_logger()

_REMIND_AFTER = 60.0


class Trouble:
    """One kind of trouble. A log line for every second of trouble would fill a disk that is full already.

    Args:
        begun: the event of its beginning, made by `begins`.
        over: the event of its end, made by `ends`.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(self, begun: LogEvent, over: LogEvent, clock: Callable[[], float]) -> None:
        self.reason: str | None = None
        """Why there is trouble, in the words of the last failure; None while there is none."""
        self._begun = begun
        self._over = over
        self._clock = clock
        self._since = self._said_at = 0.0
        self._failures = 0

    def met(self, reason: str) -> None:
        """There was a failure."""
        now = self._clock()
        if self.reason is None:
            self._since, self._failures = now, 0
            self._said_at = now
            log.error(self._begun, reason=reason)
        elif now - self._said_at >= _REMIND_AFTER:
            self._said_at = now
            log.warning(self._begun, reason=reason, since_s=round(now - self._since), failures=self._failures)
        self.reason = reason
        self._failures += 1

    def over(self) -> None:
        """There was a success."""
        if self.reason is not None:
            log.info(self._over, after_s=round(self._clock() - self._since, 1), failures=self._failures)
            self.reason = None
