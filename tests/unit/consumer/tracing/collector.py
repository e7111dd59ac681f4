"""A collector: what comes by OTLP/HTTP is decoded as OpenTelemetry's own definition has it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Collector:
    """What a collector got."""

    url: str = ""
    answer: int = 200
    """The status of its answers."""
    location: str | None = None
    """Where it sends on to."""
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)

    def traces(self) -> list[dict[str, Any]]:
        """The spans of each request that it took, by name; of those with one name, a list in order."""
        return [_by_name(request) for request in self.requests]

    def resource(self) -> dict[str, Any]:
        """What the last request says of its sender."""
        return _plain(self.requests[-1].resource_spans[0].resource.attributes)


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector, for the block."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.headers.append(dict(self.headers))
            found.paths.append(self.path)
            if found.answer == 200:
                found.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(found.answer)
            if found.location:
                self.send_header("Location", found.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_said: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def _by_name(request: Any) -> dict[str, Any]:
    spans: dict[str, Any] = {}
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                told = {
                    "trace_id": span.trace_id.hex(),
                    "span_id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "failed": span.status.code == 2,
                    "message": span.status.message,
                    "attributes": _plain(span.attributes),
                    "events": {event.name: _plain(event.attributes) for event in span.events},
                }
                if span.name == "attempt":
                    spans.setdefault("attempt", []).append(told)
                else:
                    spans[span.name] = told
    return spans


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
