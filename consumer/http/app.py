"""Which address is answered by what."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from consumer.clock import Clock
from consumer.errors import ConsumerError
from consumer.health import judged
from consumer.http.answers import Answers
from consumer.http.guard import FAULT, Guard
from consumer.http.orders import ORDERS, OrderTaker
from consumer.http.pages import Files
from consumer.http.problems import Problem, as_text, refusal
from consumer.http.readiness import unready
from consumer.http.reading import Asking, LedgerDoor
from consumer.http.reports import Reports
from consumer.ledger.ledger import Ledger
from consumer.ledger.past_cycles import NotOnRecord
from consumer.metrics.collector import Metrics
from consumer.settings import Settings
from consumer.status import Status
from schemas.log_events.http import HTTP_FAILED

log = structlog.get_logger()

API = "/api/v1"
_REMIND_AFTER = 60.0
_LONGEST_PATH = 200


class Application:
    """Everything that is served, as an ASGI application.

    Args:
        settings: of the service.
        status: what the service said last; None before it has said anything.
        ledger: opens the ledger; one with connections of its own if None.
        clock: the time.
    """

    def __init__(
        self,
        settings: Settings,
        status: Callable[[], Status | None],
        ledger: Callable[[], Ledger] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._status = status
        self._clock = clock or Clock()
        self._door = LedgerDoor(settings.ledger.url)
        self._ledger = ledger or self._door
        self._asking = Asking(self._ledger)
        self._scraping = Asking(self._ledger)  # threads of its own: metrics are told while the ledger hangs
        self._failed_at = float("-inf")
        self._metrics_now = Metrics(settings, self._ledger, status)
        answers, files = Answers(settings, self._asking, status, self._clock), Files()
        self._reports = Reports(settings, self._asking)
        taker = OrderTaker(settings, self._asking, self._clock)
        routes = [
            Route("/", files.index),
            Route("/static/{path:path}", files.file),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
            Route(f"{API}/status", answers.status),
            Route(f"{API}/cycles", answers.cycles),
            Route(f"{API}/cycles/{{cycle_id}}", answers.cycle),
            Route(f"{API}/versions", answers.versions),
            Route(f"{API}/versions/{{version}}", answers.version),
            Route(f"{API}/reports", self._reports.kept),
            Route(f"{API}/reports/{{cycle_id}}", self._reports.page),
            Route(f"{API}/samples", answers.samples),
            Route(f"{API}/openapi.json", files.openapi),
            *(Route(f"{API}/orders/{name}", taker.taking(name), methods=["POST"]) for name in ORDERS),
        ]
        handlers = {
            HTTPException: _by_starlette,
            Problem: _problem,
            NotOnRecord: _unknown,
            ConsumerError: _by_ledger,
            Exception: _fault,
        }
        self.paths = frozenset(route.path for route in routes)
        """The addresses that are answered."""
        self._app = Guard(Starlette(routes=routes, exception_handlers=handlers), settings.http, self._fault)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app(scope, receive, send)

    def close(self) -> None:
        """Give back the connections to the ledger, and give up what is being drawn."""
        self._reports.close()
        self._door.close()

    def failed(self, path: str, reason: str) -> None:
        """Log a fault of ours, once a minute at most."""
        if (now := time.monotonic()) - self._failed_at >= _REMIND_AFTER:
            self._failed_at = now
            log.error(HTTP_FAILED, path=path[:_LONGEST_PATH], reason=reason)

    def _fault(self, path: str, error: Exception) -> None:
        self.failed(path, f"{type(error).__name__}: {error}")

    async def _healthz(self, _request: Request) -> Response:
        """Asks nobody: the answer comes whatever ledger and broker do."""
        well, line = judged(self._status(), self._settings, self._clock)
        return as_text(line, 200 if well else 503)

    async def _readyz(self, _request: Request) -> Response:
        reasons = unready(self._status(), self._clock, await self._asking.trouble())
        return as_text("\n".join(reasons) or "ready", 503 if reasons else 200)

    async def _metrics(self, request: Request) -> Response:
        accept = request.headers.get("accept", "")
        body, kind = await self._scraping.work(lambda: self._metrics_now.page(accept))
        return Response(body, headers={"content-type": kind})


async def _problem(_request: Request, problem: Exception) -> Response:
    assert isinstance(problem, Problem)
    return refusal(problem)


async def _unknown(_request: Request, error: Exception) -> Response:
    return refusal(Problem(404, str(error), "GET /api/v1/cycles lists what there is"))


async def _fault(_request: Request, _error: Exception) -> Response:
    """The answer; the fault itself goes on to the guard, which logs it."""
    return refusal(FAULT)


async def _by_ledger(_request: Request, error: Exception) -> Response:
    """What the ledger's state does not allow, in its own words, which have the way out."""
    return refusal(Problem(409, str(error), "see /api/v1/status"))


async def _by_starlette(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = dict(error.headers or {})
        what = f"{request.method} is not answered here"
        methods = ", ".join(sorted(allowed.get("Allow", "GET").split(", ")))
        return refusal(Problem(405, what, f"use {methods}", {**allowed, "Allow": methods}))
    what = f"there is nothing at {request.url.path!r}"
    return refusal(Problem(error.status_code, what, "docs/api.md lists what is served"))
