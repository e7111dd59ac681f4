"""The messages that wait for one channel, as a courier sees them."""

from __future__ import annotations

import structlog

from consumer.ledger.watching.notifications import Message, Notifications
from consumer.notifications.channels import Sender
from schemas.log_events.notifications import (
    NOTIFICATION_SENT,
    NOTIFICATIONS_GIVEN_UP,
    NOTIFICATIONS_NOT_WANTED,
    ONE_CHAT_LEFT_OUT,
)

log = structlog.get_logger()


class MessageQueue:
    """See `consumer.sending.ports.Queue`.

    Args:
        notifications: of the ledger.
        sender: the channel.
    """

    def __init__(self, notifications: Notifications, sender: Sender) -> None:
        self._notifications = notifications
        self._sender = sender
        self._left_out: str | None = None

    def waiting(self) -> list[Message]:
        """See `Queue`."""
        return self._notifications.waiting(self._sender.channel)

    def send(self, item: Message) -> None:
        """See `Queue`."""
        self._left_out = self._sender.send(item.notification)
        if self._left_out is not None:
            log.error(ONE_CHAT_LEFT_OUT, id=item.notification.id, reason=self._left_out)

    def note_sent(self, item: Message) -> None:
        """See `Queue`."""
        self._notifications.sent(self._sender.channel, item.number, self._left_out)

    def note_refused(self, item: Message, reason: str) -> None:
        """See `Queue`."""
        self._notifications.refused(item.number, reason)

    def give_up(self, before: float, reason: str) -> int:
        """See `Queue`."""
        return self._notifications.give_up(self._sender.channel, before, reason)

    def close(self) -> None:
        """See `Queue`; each message has a connection of its own."""

    def tell_sent(self, item: Message) -> None:
        """See `Queue`."""
        told = item.notification
        channel = self._sender.channel.value
        log.info(NOTIFICATION_SENT, kind=told.kind, phase=told.phase.value, id=told.id, channel=channel)

    def tell_gone(self, reason: str) -> None:
        """See `Queue`."""
        log.error(NOTIFICATIONS_NOT_WANTED, reason=reason)

    def tell_given_up(self, count: int, reason: str) -> None:
        """See `Queue`."""
        log.error(NOTIFICATIONS_GIVEN_UP, messages=count, channel=self._sender.channel.value, reason=reason)
