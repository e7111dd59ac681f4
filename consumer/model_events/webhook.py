"""Model events by HTTP: a signed POST of each, as Standard Webhooks has it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from consumer.ledger.outbox import Channel
from consumer.sending.posting import TIMEOUT, ask
from consumer.sending.signing import signed_headers
from schemas.model_events import CONTENT_TYPE, ModelEvent


class WebhookSender:
    """Sends events to one URL.

    Args:
        url: https, or http on this machine.
        keys: of the secrets that events are signed with.
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

    def send(self, event: ModelEvent) -> None:
        """See `Sender`."""
        body = event.body()
        headers = {"Content-Type": CONTENT_TYPE, **signed_headers(self._keys, event.id, self._now(), body)}
        ask(self._url, body, headers, self._cafile, self._timeout)

    def close(self) -> None:
        """See `Sender`; each event has a connection of its own."""
