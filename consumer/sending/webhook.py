"""A webhook: one URL that gets signed messages by POST, as Standard Webhooks has it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from consumer.sending.posting import TIMEOUT, ask, shown
from consumer.sending.signing import signed_headers


class SignedWebhook:
    """Posts to one URL.

    Args:
        url: https, or http on this machine.
        keys: of the secrets that messages are signed with.
        cafile: the authorities that the receiver's certificate is checked by; those of this machine if None.
        timeout: seconds that the receiver may be silent.
        now: seconds since the epoch, for the signature.
    """

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
        """Where it leads, without secrets."""
        return shown(self._url)

    def post(self, message_id: str, body: bytes, content_type: str) -> None:
        """Send a body and wait for the receipt; the id is the same at each try.

        Raises:
            NotSent: there is no receipt; the receiver may have it all the same.
        """
        headers = {"Content-Type": content_type, **signed_headers(self._keys, message_id, self._now(), body)}
        ask(self._url, body, headers, self._cafile, self._timeout)
