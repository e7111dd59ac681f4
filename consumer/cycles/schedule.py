"""Ticks by the clock. A tick writes a request into the ledger and no more: what comes of it, the trigger decides."""

from __future__ import annotations

from collections.abc import Callable

from apscheduler.events import EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from consumer.cycles.crontab import from_crontab
from consumer.settings import ScheduleSettings


class Schedule:
    """Calls `full_retrain_due` as the settings say, from a thread of its own.

    It is told the time that the crontab line names, seconds since the epoch: the same on every machine, whatever its
    clock says.
    """

    def __init__(self, settings: ScheduleSettings, full_retrain_due: Callable[[float], None]) -> None:
        self._full_retrain_due = full_retrain_due
        self._scheduler = BackgroundScheduler(timezone="UTC")
        self._scheduler.add_listener(self._tick, EVENT_JOB_SUBMITTED)
        if settings.full_retrain is not None:
            self._scheduler.add_job(
                _nothing,  # a job is not told for when it was planned; who hears of it is
                from_crontab(settings.full_retrain),
                coalesce=True,
                misfire_grace_time=None,  # the default drops a tick that is a second late
            )

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()

    def look_again(self) -> None:
        """The machine's clock was set: the wait for the next tick was measured by what it said before."""
        if self._scheduler.running:
            self._scheduler.wakeup()

    def _tick(self, event: JobSubmissionEvent) -> None:
        self._full_retrain_due(event.scheduled_run_times[-1].timestamp())

    def stop(self) -> None:
        """Tick no more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)


def _nothing() -> None:
    pass
