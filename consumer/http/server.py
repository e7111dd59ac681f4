"""The thread that serves. It listens at the address, tries again where it cannot, and stops within seconds."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from ipaddress import ip_address
from typing import Any

import structlog

from consumer.routine import Routine
from consumer.settings import Settings
from consumer.status import Status
from consumer.trouble import Trouble
from schemas.log_events.http import HTTP_SERVED, HTTP_TROUBLE, HTTP_WORKS

log = structlog.get_logger()

_AGAIN = 5.0  # seconds until an address that is taken is tried again
_BACKLOG = 64


class HttpServer:
    """Serves page, API, health and metrics for the service of this process.

    Args:
        settings: of the service.
        status: what the service said last; None before it has said anything.
    """

    def __init__(self, settings: Settings, status: Callable[[], Status | None]) -> None:
        self._settings = settings
        self._status = status
        self._trouble = Trouble(HTTP_TROUBLE, HTTP_WORKS, time.monotonic)
        self._url: str | None = None
        self._serving: Any = None
        self._routine = Routine("http", self._run, self._end)

    @property
    def url(self) -> str | None:
        """Where it serves; None while it does not."""
        return self._url

    @property
    def trouble(self) -> str | None:
        """Why it cannot serve; None where it does."""
        return self._trouble.reason

    def start(self) -> None:
        """Serve from now on, as soon as the address is free. Returns at once."""
        self._routine.start()

    def stop(self) -> None:
        """Stop serving; what is being answered is given a second."""
        self._routine.stop()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                self._serve(stopping)
            except OSError as error:
                self._trouble.met(self._in_words(error))
            except Exception as error:  # noqa: BLE001  (the service goes on, whatever it is)
                self._trouble.met(f"{type(error).__name__}: {error}")
            finally:
                self._url = self._serving = None
            stopping.wait(_AGAIN)

    def _serve(self, stopping: threading.Event) -> None:
        """Serve until stopped.

        Raises:
            OSError: the address cannot be had.
        """
        with closing(listening(self._settings.http.host, self._settings.http.port)) as listener:
            # Only here: a service that does not serve needs none of it.
            from consumer.http.app import Application
            from consumer.http.running import serving

            with closing(Application(self._settings, self._status)) as application:
                server = serving(application)
                self._serving = server
                self._url = url_of(self._settings.http.host, listener.getsockname()[1])
                self._trouble.over()
                log.info(HTTP_SERVED, url=self._url, orders=self._settings.http.token is not None)
                if not stopping.is_set():
                    server.run(listener)

    def _end(self) -> None:
        if (server := self._serving) is not None:
            server.stop()

    def _in_words(self, error: OSError) -> str:
        http = self._settings.http
        why = error.strerror or str(error)
        return f"{http.host}:{http.port}: {why}; RETRAINER_HTTP__PORT and RETRAINER_HTTP__HOST name another address"


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        OSError: the name is not known, or its address is not ours or taken.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        opened.bind(address)
        opened.listen(_BACKLOG)
    except BaseException:
        opened.close()
        raise
    return opened


def url_of(host: str, port: int) -> str:
    """Where a browser on this machine finds what is served at `host`."""
    with suppress(ValueError):
        address = ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1"
        elif address.version == 6:
            host = f"[{host}]"
    return f"http://{host}:{port}/"
