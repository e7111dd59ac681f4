"""Model events by HTTP: a signed POST of each, as Standard Webhooks has it, by the standard library.

Any answer of 2xx is a receipt. A redirect is not followed: the event is signed for one receiver. 410 Gone says that the
receiver wants no more.
"""

from __future__ import annotations

import http.client
import math
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from consumer.configuration.kafka import is_loopback
from consumer.ledger.outbox import Channel
from consumer.model_events.ports import Gone, NotSent
from consumer.model_events.signing import signed_headers
from schemas.model_events import CONTENT_TYPE, ModelEvent

_TIMEOUT = 15.0  # of each step of the way; receivers should answer first and work later


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
        timeout: float = _TIMEOUT,
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
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "Retrainer",
            **signed_headers(self._keys, event.id, self._now(), body),
        }
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310  (the settings allow https)
        where = shown(self._url)
        try:
            with self._opener().open(request, timeout=self._timeout):
                return
        except urllib.error.HTTPError as error:
            with error:
                said, asked = f"{where} answered {error.code}", _asked(error)
            if error.code == HTTPStatus.GONE:
                raise Gone(f"{said} Gone") from None
            raise NotSent(said, asked) from None
        except urllib.error.URLError as error:
            said = str(error.reason)
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = str(error) or type(error).__name__
        raise NotSent(f"{where}: {said.replace(self._url, where)}")

    def close(self) -> None:
        """See `Sender`; each event has a connection of its own."""

    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=self._cafile)
        proxies = urllib.request.ProxyHandler({} if is_loopback(self._url) else None)
        return urllib.request.build_opener(_NoRedirect, proxies, urllib.request.HTTPSHandler(context=context))


def shown(url: str) -> str:
    """A webhook's URL fit to be printed: of many, the path is the secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/…"


def _asked(error: urllib.error.HTTPError) -> float | None:
    """How many seconds the receiver asks us to wait, where it says so in seconds."""
    try:
        seconds = float(error.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        """No: the answer counts as a failure."""
