"""Full retrains by the clock. A tick writes a request into the ledger: what comes of it, the trigger decides.

The ledger knows up to when the line was watched. So a tick that passed while no service ran is made up at the next
start, once, however many there were; and a line that is new makes up nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from consumer.cycles.crontab import from_crontab
from consumer.ledger.asked import Asked
from schemas.cycle import CycleKind

log = structlog.get_logger()

_LATE = 60.0  # seconds: later than that a tick was missed, and is made up


class Schedule:
    """Asks for a full retrain when its crontab line says so.

    It asks by the time that the line names, the same on every machine: of several instances the first one counts.

    Args:
        line: the crontab line; None for never.
        asked: where requests wait.
    """

    def __init__(self, line: str | None, asked: Asked) -> None:
        self._line = line
        self._crontab = from_crontab(line) if line is not None else None
        self._asked = asked
        self._watched: float | None = None  # up to when ticks have been asked for; None before the ledger was asked

    def tick(self, now: float) -> None:
        """Ask for what has come due since the last call, or since the line was last watched by anybody."""
        if self._watched is None:
            self._watched = self._asked.watch_schedule(self._line, now)
        if self._crontab is None:
            return
        self._watched = min(self._watched, now)  # a clock that was ahead keeps nothing from coming
        due = self._crontab.latest(now)
        if due <= self._watched:
            return
        if self._asked.ask_by_schedule(CycleKind.FULL, due, self._line) and now - due > _LATE:
            log.warning(
                "a full retrain by schedule was missed, and is made up now",
                due=datetime.fromtimestamp(due, UTC).isoformat(),
                schedule=self._line,
            )
        self._watched = now
