"""Spans go to a collector by OTLP/HTTP. Only where traces are sent is this imported: OpenTelemetry needs memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from consumer.configuration.tracing import TracingSettings, headers_of
from consumer.sending.ports import NotSent
from consumer.tracing.spans import Span
from schemas.watching.traces import span_id_of, trace_id_of

_PATH = "/v1/traces"
_TIMEOUT = 5.0  # seconds for one trace, with what the exporter itself tries again
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Reasons(logging.Handler):
    """Keeps the last thing that the exporter complains of: it gives no reason to its caller."""

    last = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


class TraceSender:
    """Sends traces, one at a time. `close` may be called from another thread."""

    def __init__(self, settings: TracingSettings) -> None:
        self._reasons = _Reasons()
        said = logging.getLogger("opentelemetry")
        said.handlers, said.propagate = [self._reasons], False  # what it says is told by us, once
        session = requests.Session()
        session.max_redirects = 0  # the headers are for the collector alone
        self._exporter = OTLPSpanExporter(
            endpoint=_traces_of(settings.endpoint) if settings.endpoint else None,
            headers=headers_of(settings.headers) if settings.headers else None,
            timeout=_TIMEOUT,
            session=session,
        )
        self._resource = _resource(settings)
        self._scope = InstrumentationScope("retrainer", _release())

    def send(self, cycle_id: str, spans: Iterable[Span]) -> None:
        """Send the trace of a cycle.

        Raises:
            NotSent: the collector has not taken it, or has not answered.
        """
        self._reasons.last = ""
        found = self._exporter.export([self._made(cycle_id, span) for span in spans])
        if found is not SpanExportResult.SUCCESS:
            raise NotSent(self._reasons.last or "the collector has not taken the trace")

    def close(self) -> None:
        """End a `send` of another thread within seconds; nothing is sent any more."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _made(self, cycle_id: str, span: Span) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=_context(cycle_id, span.key),
            parent=None if span.parent is None else _context(cycle_id, span.parent),
            resource=self._resource,
            attributes=dict(span.attributes),
            events=[Event(one.name, dict(one.attributes), _nanoseconds(one.at)) for one in span.events],
            status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, span.error),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=self._scope,
        )


def _traces_of(endpoint: str) -> str:
    bare = endpoint.rstrip("/")
    return bare if bare.endswith(_PATH) else bare + _PATH


def _resource(settings: TracingSettings) -> Resource:
    """Whose traces they are, with what OTEL_RESOURCE_ATTRIBUTES says."""
    name = settings.service_name or (None if os.environ.get("OTEL_SERVICE_NAME") else "retrainer")
    return Resource.create({SERVICE_VERSION: _release(), **({SERVICE_NAME: name} if name else {})})


def _release() -> str:
    try:
        return version("retrainer")
    except PackageNotFoundError:  # a checkout that is not installed
        return "unknown"


def _context(cycle_id: str, key: str) -> SpanContext:
    trace_id, span_id = int(trace_id_of(cycle_id), 16), int(span_id_of(cycle_id, key), 16)
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _nanoseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
