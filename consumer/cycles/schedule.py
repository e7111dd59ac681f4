"""Full retrains by the clock. A tick writes a request into the ledger, and the trigger decides what follows.

APScheduler wakes the service when a time of the crontab line has come. The ledger knows up to when the line was
watched. So ticks that passed while no service ran are made up at the next start, by one request for all of them. A new
line makes up nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from consumer.ledger.retrain_requests import RetrainRequests
from schemas.cycle import CycleKind
from schemas.log_events.service import SCHEDULE_MISSED
from schemas.times.crontab import Crontab, from_crontab

log = structlog.get_logger()

_JOB = "full retrain"
_LATE = 60.0  # seconds: later than that a tick was missed, and is made up


class Schedule:
    """Asks for a full retrain when its crontab line says so.

    A request names the time of the crontab line, which is the same on every machine: of the requests that several
    instances make for one time, the first one counts.

    Args:
        line: the crontab line; None for never.
        requests: where requests wait.
        woken: called, from another thread, when a time has come.
    """

    def __init__(self, line: str | None, requests: RetrainRequests, woken: Callable[[], None]) -> None:
        self._line = line
        self._crontab = from_crontab(line) if line is not None else None
        self._requests = requests
        self._woken = woken
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._due = True  # something may have come due before this start
        self._watched: float | None = None  # up to when ticks have been asked for; None before the ledger was asked
        if self._crontab is not None:
            # By default APScheduler drops a tick that is a second late.
            options = {"id": _JOB, "coalesce": True, "misfire_grace_time": None}
            self._scheduler.add_job(self._ring, _Times(self._crontab), **options)

    def start(self) -> None:
        """Begin to watch the clock."""
        self._scheduler.start()

    def look_again(self) -> None:
        """Measure the wait for the next time again: the machine's clock was set."""
        self._due = True
        if self._scheduler.running and self._crontab is not None:
            self._scheduler.reschedule_job(_JOB, trigger=_Times(self._crontab))

    def stop(self) -> None:
        """Watch no more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def tick(self, now: float) -> None:
        """Request what has come due since the last call, or since any instance last watched the line.

        What raises here is tried again by the next call.
        """
        if not self._due:
            return
        self._due = False
        try:
            self._ask(now)
        except BaseException:
            self._due = True
            raise

    def _ring(self) -> None:
        self._due = True
        self._woken()

    def _ask(self, now: float) -> None:
        if self._watched is None:
            self._watched = self._requests.watch_schedule(self._line, now)
        if self._crontab is None:
            return
        self._watched = min(self._watched, now)  # a clock that was ahead keeps nothing from coming
        due = self._crontab.latest(now)
        if due <= self._watched:
            return
        if self._requests.ask_by_schedule(CycleKind.FULL, due, self._line) and now - due > _LATE:
            log.warning(
                SCHEDULE_MISSED,
                due=datetime.fromtimestamp(due, UTC).isoformat(),
                schedule=self._line,
            )
        self._watched = now


class _Times(BaseTrigger):  # type: ignore[misc]
    """A crontab line as APScheduler asks for its times."""

    def __init__(self, crontab: Crontab) -> None:
        self._crontab = crontab

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:  # noqa: ARG002
        """The first time after `now`. The ledger knows which ones came before it; there may be millions of them."""
        return datetime.fromtimestamp(self._crontab.after(now.timestamp()), UTC)
