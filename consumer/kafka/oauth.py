"""Tokens for SASL OAUTHBEARER: the client-credentials grant of OAuth 2 (RFC 6749, 4.4), by the standard library."""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, urlencode

import structlog
from kafka.errors import KafkaConnectionError
from kafka.net.sasl.oauth import AbstractTokenProvider
from pydantic import SecretStr

from consumer.configuration.kafka import SAFE_URL, is_loopback, keeps_a_secret
from consumer.errors import ConsumerError
from consumer.masking import masked
from schemas.log_events.listener import TOKEN_NOT_RENEWED

log = structlog.get_logger()

_SETTING = "RETRAINER_KAFKA__SASL_OAUTH_TOKEN_ENDPOINT"
_TIMEOUT = 5.0
_REFRESH_AT = 0.8  # of its lifetime; kafka-python authenticates again at 0.85 to 0.95
_RETRY_AFTER = 5.0
_LIFETIME = 300.0  # of a token whose lifetime the endpoint does not say
_MOST = 1 << 20
_HARMLESS = frozenset({"api-version", "audience", "grant_type", "resource", "scope", "version"})
_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750; anything else could add fields to the SASL message


class TokenError(ConsumerError, KafkaConnectionError):  # type: ignore[misc]
    """There is no token. The message names the endpoint and its answer, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and how many seconds it is good for."""

    token: str = field(repr=False)
    lifetime: float


class CachedToken(AbstractTokenProvider):  # type: ignore[misc]
    """One token for all connections, renewed at 80 % of its lifetime.

    A token that cannot be renewed is given out until it expires. Any thread may ask; on the client's own thread a
    renewal holds up its heartbeats for as long as `grant` takes.

    Args:
        grant: gets a token or raises `TokenError`.
        clock: seconds, never backwards.
    """

    def __init__(self, grant: Callable[[], Grant], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._grant = grant
        self._clock = clock
        self._lock = threading.Lock()
        self._granted: Grant | None = None
        self._renew_at = 0.0
        self._expires_at = 0.0

    def token(self) -> str:
        """A token that has not expired.

        Raises:
            TokenError: there is none, and the endpoint does not give one.
        """
        with self._lock:
            now = self._clock()
            if self._granted is None or now >= self._renew_at:
                self._granted = self._renewed(now)
            return self._granted.token

    def forget(self) -> None:
        """Get a new token next time: the broker refused this one, whatever its lifetime says."""
        with self._lock:
            self._granted = None

    def _renewed(self, now: float) -> Grant:
        try:
            granted = self._grant()
        except TokenError as error:
            if self._granted is None or now >= self._expires_at:
                raise
            log.warning(TOKEN_NOT_RENEWED, reason=str(error.args[0]), good_for_s=self._expires_at - now)
            self._renew_at = min(now + _RETRY_AFTER, self._expires_at)
            return self._granted
        self._renew_at = now + _REFRESH_AT * granted.lifetime
        self._expires_at = now + granted.lifetime
        return granted


@lru_cache(maxsize=8)
def token_provider(
    endpoint: str, client_id: str, secret: SecretStr, scope: str | None, cafile: Path | None
) -> CachedToken:
    """The provider of these credentials: the same one each time, so that all clients share its token."""
    return CachedToken(lambda: client_credentials(endpoint, client_id, secret, scope, cafile))


def client_credentials(
    endpoint: str,
    client_id: str,
    secret: SecretStr,
    scope: str | None,
    cafile: Path | None,
    timeout: float = _TIMEOUT,
) -> Grant:
    """Ask an endpoint for a token. A redirect is never followed: the secret does not belong anywhere else.

    An endpoint on this machine is asked without the proxies of the environment, which would read what is not encrypted.

    Args:
        endpoint: its URL.
        client_id: of the client, sent with the secret by HTTP Basic as RFC 6749 2.3.1 has it.
        secret: of the client.
        scope: of the token; not sent if None.
        cafile: the authorities that the endpoint's certificate is checked by; those of this machine if None.
        timeout: seconds that the endpoint may be silent.

    Raises:
        TokenError: the endpoint cannot be reached, refuses, or answers something else; or the way there is not safe.
    """
    if not keeps_a_secret(endpoint):
        raise TokenError(f"{_SETTING}: {shown(endpoint)} is no place for a secret, it must be {SAFE_URL}")
    form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
    basic = f"{quote_plus(client_id)}:{quote_plus(secret.get_secret_value())}"
    headers = {"Authorization": f"Basic {base64.b64encode(basic.encode()).decode()}", "Accept": "application/json"}
    request = urllib.request.Request(endpoint, urlencode(form).encode(), headers)  # noqa: S310  (the settings allow https)
    try:
        context = ssl.create_default_context(cafile=cafile)
        proxies = urllib.request.ProxyHandler({} if is_loopback(endpoint) else None)
        opener = urllib.request.build_opener(_NoRedirect, proxies, urllib.request.HTTPSHandler(context=context))
        with opener.open(request, timeout=timeout) as response:
            return _grant(response.read(_MOST))
    except urllib.error.HTTPError as error:
        with error:
            said = f"HTTP {error.code}{_refusal(error)}"
    except urllib.error.URLError as error:
        said = str(error.reason)
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = str(error) or type(error).__name__
    for hidden in (secret.get_secret_value(), headers["Authorization"]):
        said = said.replace(hidden, "…")
    raise TokenError(f"{_SETTING}: no token from {shown(endpoint)}: {said}")


def shown(endpoint: str) -> str:
    """The URL of an endpoint, fit to be printed."""
    return masked(endpoint, _HARMLESS)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        """No: the answer counts as an error."""


def _grant(body: bytes) -> Grant:
    answer = _object(body)
    token, kind, lifetime = (answer.get(name) for name in ("access_token", "token_type", "expires_in"))
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ValueError("the answer has no access_token that can be sent")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise ValueError(f"the token is of type {str(kind)[:50]!r}, not Bearer")
    try:
        seconds = _LIFETIME if lifetime is None else float(lifetime)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"the token expires in {str(lifetime)[:50]!r} s")
    return Grant(token, seconds)


def _refusal(error: urllib.error.HTTPError) -> str:
    """What RFC 6749 5.2 lets an endpoint say, on one line."""
    try:
        answer = _object(error.read(_MOST))
    except (OSError, http.client.HTTPException, ValueError):
        return ""
    said = ", ".join(str(answer[name]) for name in ("error", "error_description") if answer.get(name))
    return f" ({''.join(c for c in said if c.isprintable())[:200]})" if said else ""


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("the answer is not JSON") from None
    if not isinstance(answer, dict):
        raise ValueError("the answer is not a JSON object")
    return answer
