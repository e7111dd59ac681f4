"""HTTP to a place of somebody else's, by the standard library.

Any answer of 2xx is a receipt. A redirect is not followed: what is sent is for one receiver. 410 Gone says that the
receiver wants no more. Addresses are shown without path and query, which may be secrets.
"""

from __future__ import annotations

import http.client
import math
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from consumer.configuration.kafka import is_loopback
from consumer.sending.ports import Gone, NotSent

TIMEOUT = 15.0
"""Seconds that each step of the way may take; receivers should answer first and work later."""


def ask(
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    cafile: Path | None = None,
    timeout: float = TIMEOUT,
) -> None:
    """Send a body by POST, or ask by GET where there is none, and wait for the receipt.

    Args:
        url: https, or http.
        body: what is sent.
        headers: beside those that every request has.
        cafile: the authorities that the receiver's certificate is checked by; those of this machine if None.
        timeout: seconds that the receiver may be silent.

    Raises:
        Gone: the receiver wants no more.
        NotSent: there is no receipt.
    """
    named = {"User-Agent": "Retrainer", **(headers or {})}
    method = "GET" if body is None else "POST"
    request = urllib.request.Request(url, body, named, method=method)  # noqa: S310  (the settings allow https)
    where = shown(url)
    try:
        with _opener(url, cafile).open(request, timeout=timeout):
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
    raise NotSent(f"{where}: {said.replace(url, where)}")


def shown(url: str) -> str:
    """A URL fit to be printed: of many, the path is the secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}/…"


def _opener(url: str, cafile: Path | None) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context(cafile=cafile)
    proxies = urllib.request.ProxyHandler({} if is_loopback(url) else None)
    return urllib.request.build_opener(_NoRedirect, proxies, urllib.request.HTTPSHandler(context=context))


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
