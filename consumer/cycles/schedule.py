"""Ticks by the clock. A tick writes a request into the ledger and no more: what comes of it, the trigger decides."""

from __future__ import annotations

from collections.abc import Callable

from apscheduler.schedulers.background import BackgroundScheduler

from consumer.cycles.crontab import from_crontab
from consumer.settings import ScheduleSettings


class Schedule:
    """Calls `full_retrain_due` as the settings say, from a thread of its own."""

    def __init__(self, settings: ScheduleSettings, full_retrain_due: Callable[[], None]) -> None:
        self._scheduler = BackgroundScheduler(timezone="UTC")
        if settings.full_retrain is not None:
            self._scheduler.add_job(
                full_retrain_due,
                from_crontab(settings.full_retrain),
                coalesce=True,
                misfire_grace_time=None,  # the default drops a tick that is a second late
            )

    def start(self) -> None:
        """Begin to tick."""
        self._scheduler.start()

    def stop(self) -> None:
        """Tick no more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
