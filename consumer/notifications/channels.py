"""The channels: a signed webhook, and chats and mail through apprise."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from consumer.configuration.notifications import NotificationSettings, urls_of
from consumer.configuration.webhook import keys_of
from consumer.ledger.watching.notifications import Channel
from consumer.notifications.chat import ChatSender
from consumer.sending.posting import TIMEOUT, ask, shown
from consumer.sending.signing import signed_headers
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


class WebhookSender:
    """Sends messages to one URL.

    Args:
        url: https, or http on this machine.
        keys: of the secrets that messages are signed with.
        cafile: the authorities that the receiver's certificate is checked by; those of this machine if None.
        timeout: seconds that the receiver may be silent.
        now: seconds since the epoch, for the signature.
    """

    channel = Channel.WEBHOOK

    def __init__(
        self,
        url: str,
        keys: tuple[bytes, ...],
        cafile: Path | None = None,
        timeout: float = TIMEOUT,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._keys = keys
        self._cafile = cafile
        self._timeout = timeout
        self._now = now

    @property
    def shown(self) -> str:
        """See `Sender`."""
        return shown(self._url)

    def send(self, message: Notification) -> str | None:
        """See `Sender`."""
        body = message.body()
        headers = {"Content-Type": _JSON, **signed_headers(self._keys, message.id, self._now(), body)}
        ask(self._url, body, headers, self._cafile, self._timeout)
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
