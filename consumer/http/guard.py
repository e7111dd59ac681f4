"""What every request passes: it names a host that is ours, its answer has safe headers, and no fault of ours is shown.

A web page that somebody reads may have its name point to this machine (DNS rebinding); its requests then come with that
name as their host. So a host has to be an address, which no name can pretend to be, or a name that the settings allow.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consumer.configuration.http import HttpSettings
from consumer.http.problems import Problem, refusal

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""What the page for people may do: its own scripts and styles, and questions to us."""

FAULT = Problem(500, "this is a fault of Retrainer", "the log of the service says more")

_HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Guard:
    """An ASGI application around another one.

    Args:
        app: answers what is let through.
        settings: which hosts are ours.
        failed: is told what was asked for, and the fault, where `app` fails.
    """

    def __init__(self, app: ASGIApp, settings: HttpSettings, failed: Callable[[str, Exception], None]) -> None:
        self._app = app
        self._settings = settings
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        begun = False

        async def safely(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = with_safe_headers(message.get("headers", ()))
            await send(message)

        if scope["type"] != "http":
            if scope["type"] == "lifespan":  # of servers that have one
                await self._app(scope, receive, send)
            return
        try:
            if (host := host_of(scope)) is None or not is_ours(host, self._settings):
                await refusal(_not_ours(host))(scope, receive, safely)
            else:
                await self._app(scope, receive, safely)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001  (whatever it is, the client gets an answer and we a log line)
            self._failed(str(scope["path"]), error)
            if not begun:
                await refusal(FAULT)(scope, receive, safely)


def with_safe_headers(headers: object) -> list[tuple[bytes, bytes]]:
    """The headers of an answer, and those that every answer has unless it has others of the name."""
    given = [(bytes(name), bytes(value)) for name, value in headers]  # type: ignore[attr-defined]
    names = {name.decode("latin-1").lower() for name, _ in given}
    return given + [(name.encode(), value.encode()) for name, value in _HEADERS.items() if name not in names]


def host_of(scope: Scope) -> str | None:
    """The host that a request names, with its port; None where it names none, or several."""
    found = [value for name, value in scope["headers"] if name == b"host"]
    return found[0].decode("latin-1").strip().lower() if len(found) == 1 else None


def is_ours(host: str, settings: HttpSettings) -> bool:
    """Whether `host`, a name or an address, perhaps with a port, is one by which we may be reached."""
    name = name_of(host)
    if name is None:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in {"localhost", settings.host.lower(), *settings.allowed_hosts} or name.endswith(".localhost")
    return True


def name_of(host: str) -> str | None:
    """A host without its port and brackets; None where it is malformed."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        port = port.removeprefix(":") if port.startswith(":") else port and "?"
        if not bracket:
            return None
    else:
        name, _, port = host.partition(":")
    well_formed = not port or (port.isascii() and port.isdecimal())
    return name.rstrip(".") or None if well_formed else None


def _not_ours(host: str | None) -> Problem:
    if host is None:
        return Problem(400, "the request names no host, or several", "send one Host header")
    way_out = "use an address or localhost, or add the name to RETRAINER_HTTP__ALLOWED_HOSTS"
    return Problem(403, f"{host!r} is no host of this service", way_out)
