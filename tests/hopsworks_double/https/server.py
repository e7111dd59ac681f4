"""HTTPS servers of the double: keep-alive, one thread per connection, faults, and a log of what was served."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hopsworks_double.faults import Drop, ErrorRow, Faults, LoseReply, Outcome, Server, Status

JSON = "application/json"


@dataclass(frozen=True)
class Request:
    """A request that was served; status 0 where the connection was closed in place of an answer."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    status: int


@dataclass(frozen=True, kw_only=True)
class ApiCall:
    """A request as the handlers see it."""

    method: str
    path: str
    """Below the server's prefix, decoded."""
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    parts: Mapping[str, str] = field(default_factory=dict)
    """What the placeholders of the route stand for."""
    unreadable: frozenset[str] = frozenset()
    """Keys of rows that cannot be read this time."""

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    def argument(self, name: str, default: str = "") -> str:
        """The first value of a query argument."""
        return self.query.get(name, [default])[0]


@dataclass(frozen=True)
class Reply:
    """A status and a body: JSON, or bytes as they are, or none."""

    status: int
    body: Any = None


class ApiError(Exception):
    """An error as the servers of Hopsworks report it."""

    def __init__(self, status: int, code: int | None = None, message: str = "") -> None:
        super().__init__(message)
        self.reply = Reply(status, {"errorCode": code, "errorMsg": message, "usrMsg": ""})


class HttpsServer:
    """A server that can be stopped and started again at its address. `answer` says what it serves."""

    def __init__(
        self,
        name: Server,
        address: tuple[str, int],
        tls: ssl.SSLContext,
        answer: Callable[[ApiCall], Reply],
        faults: Faults,
    ) -> None:
        self.name: Server = name
        self.answer = answer
        self.faults = faults
        self.requests: list[Request] = []
        self.crashes: list[str] = []
        """Tracebacks of the double's own mistakes."""
        self.prefix = ""
        self._tls = tls
        self._address = address
        self._listener: _Listener | None = None

    @property
    def port(self) -> int:
        """The port; 0 before the first start where any will do."""
        return self._address[1]

    def start(self) -> None:
        """Listen, if it does not yet."""
        if self._listener is None:
            self._listener = _Listener(self._address, self, self._tls)
            self._address = (self._address[0], self._listener.server_address[1])
            threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be gone, with all connections."""
        if self._listener is not None:
            self.faults.release(self.name)
            self._listener.shutdown()
            self._listener.server_close()
            self._listener.hang_up()
            self._listener = None


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], served: HttpsServer, tls: ssl.SSLContext) -> None:
        self.served = served
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        # The handshake is left to the connection's own thread: a client that keeps silent holds up nobody.
        plain, address = super().get_request()
        wrapped = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        self._open.add(wrapped)
        return wrapped, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def handle_error(self, *_: Any) -> None:
        # What goes wrong here goes wrong with the connection: clients that leave, tests that cut the line.
        return


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "double"
    # Header and body in one segment: otherwise each answer waits 40 ms for an acknowledgement.
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    server: _Listener

    def log_message(self, *_: Any, **__: Any) -> None:
        return

    def _serve(self) -> None:
        served = self.server.served
        call = self._call()
        outcome = served.faults.strike(served.name, f"{call.method} {self._target()}")
        reply = self._reply(call, outcome)
        lost = reply is None or isinstance(outcome, LoseReply)
        status = 0 if reply is None or lost else reply.status
        served.requests.append(Request(call.method, call.path, call.query, status))
        if reply is None or lost:
            self.close_connection = True
        else:
            self._send(reply)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve  # noqa: N815

    def _target(self) -> str:
        return unquote(self.path).removeprefix(self.server.served.prefix)

    def _call(self) -> ApiCall:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        return ApiCall(
            method=self.command,
            path=unquote(url.path).removeprefix(self.server.served.prefix),
            query=parse_qs(url.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length) if length else b"",
        )

    def _reply(self, call: ApiCall, outcome: Outcome | None) -> Reply | None:
        match outcome:
            case Drop():
                return None
            case Status(body=bytes() as body):
                return Reply(outcome.code, body)
            case Status():
                return ApiError(outcome.code, outcome.error_code, outcome.message).reply
            case ErrorRow():
                call = replace(call, unreadable=frozenset(outcome.keys))
        try:
            return self.server.served.answer(call)
        except ApiError as error:
            return error.reply
        except Exception as error:  # noqa: BLE001
            self.server.served.crashes.append(f"{call.method} {call.path}: {traceback.format_exc()}")
            return ApiError(500, 120000, f"the double crashed: {error!r}").reply

    def _send(self, reply: Reply) -> None:
        binary = isinstance(reply.body, bytes)
        body = reply.body if binary else b"" if reply.body is None else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        if body:
            self.send_header("Content-Type", "application/octet-stream" if binary else JSON)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
