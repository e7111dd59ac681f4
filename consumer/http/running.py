"""uvicorn, in a thread and with our connections: no signal handlers, no log of its own, nothing but HTTP/1.1."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from uvicorn.config import Config
from uvicorn.server import Server

from consumer.http.app import Application
from consumer.http.connection import LARGEST_HEAD, Connection

_LAST_WORDS = 1  # seconds that answers may take when we stop
_IDLE = 15  # seconds that a connection may wait for its next request


class Running:
    """A server; `stop` may be called from another thread."""

    def __init__(self, server: Server, failed: Callable[[str, str], None]) -> None:
        self._server = server
        self._failed = failed

    def run(self, listener: socket.socket) -> None:
        """Serve on a listening socket until stopped."""
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.get_loop().set_exception_handler(self._say)
            runner.run(self._server.serve(sockets=[listener]))

    def stop(self) -> None:
        """Stop within seconds."""
        self._server.should_exit = True

    def _say(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._failed("", str(context.get("exception") or context["message"]))


def serving(application: Application) -> Running:
    """A server that answers by the application."""
    logger = logging.getLogger("uvicorn.error")
    logger.handlers = [_ToOurLog(application.failed)]
    logger.setLevel(logging.ERROR)  # what clients do wrong is no news
    logger.propagate = False
    config = Config(
        application,
        interface="asgi3",
        loop="asyncio",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_IDLE,
        timeout_graceful_shutdown=_LAST_WORDS,
        h11_max_incomplete_event_size=LARGEST_HEAD,
    )
    return Running(Server(config), application.failed)


class _ToOurLog(logging.Handler):
    def __init__(self, failed: Callable[[str, str], None]) -> None:
        super().__init__()
        self._failed = failed

    def emit(self, record: logging.LogRecord) -> None:
        """What uvicorn calls an error; that answers are cut short when we stop is none."""
        if record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError):
            return
        if "graceful shutdown" not in record.msg:
            self._failed("", str(record.exc_info[1]) if record.exc_info else record.getMessage())
