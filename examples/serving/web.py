"""HTTP: `/similar?user=…&count=…` and `/health`. Each answer names the versions of the model and of the vectors."""

from __future__ import annotations

import json
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from examples.serving.served import Served
from examples.serving.serving import Serving
from examples.serving.worker import QueryFailedError

_COUNT = 10


def _told(served: Served) -> dict[str, Any]:
    """What an answer comes from; `kept` only where model and vectors are of two versions."""
    kept = {} if served.version == served.vectors else {"kept": served.kept}
    return {"version": served.version, "vectors": served.vectors, **kept}


def web_server(serving: Serving, host: str, port: int) -> ThreadingHTTPServer:
    """A server that answers by `serving`; `serve_forever` runs it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open
        wbufsize = -1  # an answer is sent at one blow
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            if url.path == "/health":
                served = serving.served
                told = _told(served) if served is not None else {"version": None, "vectors": None}
                there = HTTPStatus.OK if served is not None else HTTPStatus.SERVICE_UNAVAILABLE
                self._say(there, {**told, "waiting": serving.waiting})
            elif url.path == "/similar" and "user" in asked and asked.get("count", "1").isdecimal():
                self._similar(asked["user"], int(asked.get("count", _COUNT)))
            else:
                self._say(HTTPStatus.BAD_REQUEST, {"error": "ask /similar?user=NAME&count=10, or /health"})

        def _similar(self, user: str, count: int) -> None:
            try:
                answer = serving.similar(user, count)
            except QueryFailedError as problem:
                self._say(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": str(problem)})
                return
            if answer is None:
                self._say(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "no version is loaded yet"})
            elif answer.similar is None:
                self._say(HTTPStatus.NOT_FOUND, {**_told(answer.served), "error": f"there is no user {user}"})
            else:
                similar = [{"user": other, "similarity": round(cosine, 6)} for other, cosine in answer.similar]
                self._say(HTTPStatus.OK, {**_told(answer.served), "user": user, "similar": similar})

        def _say(self, status: HTTPStatus, told: dict[str, Any]) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Not a line for each query."""

    return ThreadingHTTPServer((host, port), Handler)
