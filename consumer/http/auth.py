"""Who may order something: whoever has the token, from a page of ours or from no page at all."""

from __future__ import annotations

import hmac
import time
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request

from consumer.configuration.http import HttpSettings
from consumer.http.guard import host_of
from consumer.http.problems import REALM, Problem
from schemas.log_events.http import HTTP_TOKEN_REFUSED

log = structlog.get_logger()

_REMIND_AFTER = 60.0


class Doorkeeper:
    """Lets orders pass, or refuses them.

    Args:
        settings: has the token.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._token = settings.token
        self._refused = 0
        self._said_at = float("-inf")

    def check(self, request: Request) -> None:
        """Do nothing where the order may pass.

        Raises:
            Problem: 403 where another site's page sends it, or where no token is set; 401 without the token.
        """
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host_of(request.scope):
            raise Problem(403, "the order comes from a page of another site", "give orders from the page at /")
        if self._token is None:
            way_out = "set RETRAINER_HTTP__TOKEN_FILE to a file with a token, or order by the command line"
            raise Problem(403, "no orders are taken by HTTP, as no token is set", way_out)
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        expected = self._token.get_secret_value().encode()
        # Both are compared whole, so that the time that it takes says nothing.
        right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected)
        if scheme.lower() != "bearer" or not right:
            self._note(request)
            what = "the order has no token" if not given else "the token is wrong"
            way_out = "send `Authorization: Bearer` with the token that RETRAINER_HTTP__TOKEN_FILE holds"
            raise Problem(401, what, way_out, {"www-authenticate": REALM})

    def _note(self, request: Request) -> None:
        self._refused += 1
        if (now := time.monotonic()) - self._said_at >= _REMIND_AFTER:
            self._said_at = now
            log.warning(HTTP_TOKEN_REFUSED, client=client_of(request), failures=self._refused)


def client_of(request: Request) -> str:
    """The address that a request came from."""
    return request.client.host if request.client is not None else "unknown"
