"""The channels: a signed webhook, and chats and mail through apprise."""

from __future__ import annotations

from typing import Protocol

from consumer.configuration.notifications import NotificationSettings, urls_of
from consumer.configuration.webhook import keys_of
from consumer.ledger.watching.notifications import Channel
from consumer.notifications.chat import ChatSender
from consumer.sending.webhook import SignedWebhook
from schemas.watching.notifications import Notification

_JSON = "application/json; charset=UTF-8"


class Sender(Protocol):
    """One channel. Only one thread uses it."""

    @property
    def channel(self) -> Channel:
        """Which."""

    @property
    def shown(self) -> str:
        """Where it leads, without secrets."""

    def send(self, message: Notification) -> str | None:
        """Send a message and wait for the receipt.

        Returns:
            Which of several receivers did not take it, and why; None where all have it.

        Raises:
            NotSent: there is no receipt; the message may have arrived all the same.
        """


class WebhookSender(SignedWebhook):
    """Sends messages to one URL."""

    channel = Channel.WEBHOOK

    def send(self, message: Notification) -> str | None:
        """See `Sender`."""
        self.post(message.id, message.body(), _JSON)
        return None


def senders(settings: NotificationSettings) -> list[Sender]:
    """The channels that are set. Each call gives senders of their own."""
    found: list[Sender] = []
    if settings.webhook is not None and settings.webhook_secret is not None:
        url, keys = settings.webhook.get_secret_value(), keys_of(settings.webhook_secret)
        found.append(WebhookSender(url, keys, settings.webhook_cafile))
    if urls := urls_of(settings.chat):
        found.append(ChatSender(urls))
    return found


def channels_of(settings: NotificationSettings) -> list[Channel]:
    """The channels that are set."""
    wanted = {Channel.WEBHOOK: settings.webhook is not None, Channel.CHAT: bool(urls_of(settings.chat))}
    return [channel for channel, is_set in wanted.items() if is_set]
