"""Why nothing is fetched for now. Polling goes on meanwhile, and with it the membership of the group (P6)."""

from __future__ import annotations

import structlog

from consumer.kafka.ports import GroupConsumer
from consumer.listener.assignment import Assignment
from consumer.listener.state import ListenerState
from schemas.log_events.listener import READING_GOES_ON, READING_PAUSES, READING_STAYS_PAUSED

log = structlog.get_logger()


class Pauses:
    """Reasons to fetch nothing. While one is held all placed partitions are paused; afterwards they go on.

    Unplaced partitions are paused anyway, and `Assignment.place` resumes what it has placed: so `apply` comes after it
    in every turn, before the next poll. What the client has fetched of a paused partition it keeps, and gives later.
    """

    def __init__(self) -> None:
        self._reasons: dict[ListenerState, None] = {}  # in the order in which they came
        self._paused = False

    @property
    def reason(self) -> ListenerState | None:
        """The first reason that is held; None where there is none."""
        return next(iter(self._reasons), None)

    def hold(self, reason: ListenerState) -> None:
        """Fetch nothing while this holds. A second call with the same reason changes nothing."""
        if reason not in self._reasons:
            log.warning(READING_PAUSES, reason=reason)
            self._reasons[reason] = None

    def release(self, reason: ListenerState) -> None:
        """This is over, or was never held."""
        if reason in self._reasons:
            del self._reasons[reason]
            log.info(READING_GOES_ON if not self._reasons else READING_STAYS_PAUSED, over=reason)

    def apply(self, consumer: GroupConsumer, assignment: Assignment) -> None:
        """Pause or resume the placed partitions, the newly placed ones too."""
        if self._reasons:
            consumer.pause(*(assignment.placed.keys() - consumer.paused()))
        elif self._paused:
            # A partition whose rebalance is under way is resumed too early, but read only once it is placed.
            consumer.resume(*assignment.placed)
        self._paused = bool(self._reasons)
