"""Tells people that the ledger cannot be written, without the ledger: by the channels themselves.

What was told is remembered, and put on record as soon as the ledger takes it again. So the end of the trouble is told
as that of any other alert. A service that is killed meanwhile forgets it, and may tell the same trouble once more.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from consumer.ledger.watching.alerts import OnRecord
from consumer.ledger.watching.notifications import Channel, Writing
from consumer.notifications.channels import Sender
from consumer.sending.patience import Patience
from consumer.sending.ports import NotSent
from schemas.log_events.notifications import NOTIFICATION_SENT
from schemas.watching.notifications import Notification

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Told:
    """A message that is being told, or was, and is not on record."""

    message: Notification
    alert: OnRecord
    channels: frozenset[Channel] = frozenset()
    """Those that have it."""


class Aloud:
    """Tells one thing at a time.

    Args:
        senders: of its own.
        patience: with a channel.
        elapsed: seconds, of a clock that nobody sets.
        draw: numbers from 0 to 1.
    """

    def __init__(
        self,
        senders: Sequence[Sender],
        patience: Patience,
        elapsed: Callable[[], float],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._senders = senders
        self._patience = patience
        self._elapsed = elapsed
        self._draw = draw
        self._told: _Told | None = None
        self._failures: dict[Channel, int] = {}
        self._again_at: dict[Channel, float] = {}

    def tell(self, message: Notification, since: float, summary: str, now: float) -> None:
        """Tell it to each channel that does not have it; to one that failed, when its wait is over.

        The first message stays the one that is told, so that each channel gets the same.
        """
        if self._told is None or len(self._told.channels) == len(self._senders):
            self._told = _Told(message, OnRecord(message.kind, since, now, summary))
            self._failures, self._again_at = {}, {}
        for sender in self._senders:
            if sender.channel not in self._told.channels and self._elapsed() >= self._again_at.get(sender.channel, 0.0):
                self._try(sender, self._told)

    def with_told(self, known: Mapping[str, OnRecord]) -> dict[str, OnRecord]:
        """What is on record, with what every channel was told meanwhile."""
        told = self._told
        if told is None or len(told.channels) < len(self._senders):
            return dict(known)
        return {**known, told.alert.name: told.alert}

    def put_on_record(self, writing: Writing) -> None:
        """Write what was told, if anybody has heard it; else it is told by the ledger."""
        if self._told is not None and self._told.channels:
            writing.told_without(self._told.alert, self._told.message, self._told.channels)

    def is_on_record(self) -> None:
        """What was told is written."""
        self._told = None

    def _try(self, sender: Sender, told: _Told) -> None:
        assert self._told is not None
        channel = sender.channel
        try:
            sender.send(told.message)
        except NotSent as error:
            self._failures[channel] = self._failures.get(channel, 0) + 1
            wait = self._patience.wait(self._failures[channel], self._draw(), error.asked)
            self._again_at[channel] = self._elapsed() + wait
            return
        self._told = _Told(told.message, told.alert, self._told.channels | {channel})
        message = told.message
        log.info(NOTIFICATION_SENT, kind=message.kind, phase=message.phase.value, id=message.id, channel=channel.value)
