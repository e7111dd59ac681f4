"""Why nothing is fetched for now. Polling goes on meanwhile, and with it the membership of the group (P6)."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import structlog
from kafka import TopicPartition

from consumer.listener.places import Places
from schemas.log_events.listener import READING_GOES_ON, READING_PAUSES, READING_STAYS_PAUSED

log = structlog.get_logger()


class Pauses:
    """Reasons to fetch nothing. While one is held all placed partitions are paused; afterwards they go on.

    Unplaced partitions are paused anyway, and `Places.place` resumes what it has placed: so `apply` comes after it in
    every turn, before the next poll. What the client has fetched of a paused partition it keeps, and gives later.
    """

    def __init__(self) -> None:
        self._reasons: dict[str, None] = {}  # in the order in which they came
        self._paused = False

    @property
    def reason(self) -> str | None:
        """The first reason that is held, as the listener's state shows it; None where there is none."""
        return next(iter(self._reasons), None)

    def hold(self, reason: str) -> None:
        """Fetch nothing while this holds. Said again, it changes nothing."""
        if reason not in self._reasons:
            log.warning(READING_PAUSES, reason=reason)
            self._reasons[reason] = None

    def release(self, reason: str) -> None:
        """This is over, or was never held."""
        if reason in self._reasons:
            del self._reasons[reason]
            log.info(READING_GOES_ON if not self._reasons else READING_STAYS_PAUSED, over=reason)

    def apply(self, consumer: Any, places: Places) -> None:
        """Pause or resume the placed partitions, the newly placed ones too."""
        if self._reasons:
            _each(consumer.pause, places.next.keys() - consumer.paused())
        elif self._paused:
            # One that is being assigned anew right now is resumed too early, but taken from only once it is placed.
            _each(consumer.resume, places.next)
        self._paused = bool(self._reasons)


def _each(change: Any, partitions: Iterable[TopicPartition]) -> None:
    for partition in partitions:
        with suppress(KeyError):  # it went away; the note of it comes next
            change(partition)
