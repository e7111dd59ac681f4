"""One connection: a client that is slow, silent or greedy takes room from nobody else.

A request has to arrive within seconds, and its answer to be taken. Where there are too many connections, the one that
has waited longest for a request goes, and of those the ones that never asked anything go first; where all are at work,
the new one is told to come again.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

ARRIVES = 10.0  # seconds that a request may take to arrive, from the connection or the answer before
ANSWERED = 60.0  # seconds until its answer is made and taken
MOST = 64  # connections at once
LARGEST_HEAD = 16 * 1024  # bytes of a request's line and headers


class Connection(H11Protocol):
    """A protocol of asyncio, made by uvicorn for each connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._patience: asyncio.TimerHandle | None = None
        self._answering = self._refused = False
        self.answered = False  # whether it has ever asked something to the end
        self.waits_since = self.loop.time()

    @property
    def waits(self) -> bool:
        """Whether no request of this connection is being answered."""
        return not self._answering

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, where there is room for it."""
        if len(self.connections) >= MOST and not self._make_room():
            self._refused = True
            transport.write(_bare(503, "too many connections are open", "come again in a few seconds"))
            transport.close()
            return
        super().connection_made(transport)
        self._wait(ARRIVES)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if not self._refused:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on with the request; once it is whole, the time for its answer begins."""
        if self._refused or self.transport.is_closing():
            return
        super().data_received(data)
        whole = self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body
        if whole and not self._answering:
            self._answering = True
            self._wait(ANSWERED)

    def on_response_complete(self) -> None:
        """The answer is on its way: the next request may come."""
        self._answering = False
        self.answered = True
        self._wait(ANSWERED if self.transport.get_write_buffer_size() else ARRIVES)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, or one with headers that are too large."""
        self.transport.write(_bare(400, msg.rstrip("."), "send HTTP/1.1 with headers of at most 16 KiB"))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Nothing is upgraded here; the request is answered as it is."""

    def _make_room(self) -> bool:
        waiting = [one for one in self.connections if isinstance(one, Connection) and one.waits]
        if not waiting:
            return False
        longest = min(waiting, key=lambda one: (one.answered, one.waits_since))
        self.connections.discard(longest)
        longest.transport.abort()
        return True

    def _wait(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self.waits_since = self.loop.time()
        self._patience = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        """End a connection whose time is over. One that waits for a next request has been ended by uvicorn before."""
        self.transport.abort()


def _bare(status: int, what: str, way_out: str) -> bytes:
    """An answer where no request could be read."""
    body = json.dumps({"error": {"what": what, "way_out": way_out}}).encode()
    phrase = {400: "Bad Request", 503: "Service Unavailable"}[status]
    head = (
        f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
