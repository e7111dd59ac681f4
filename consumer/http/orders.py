"""What a person with the token orders: read, checked, and put into the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

import structlog
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from consumer.clock import Clock
from consumer.http.auth import Doorkeeper, client_of
from consumer.http.problems import Problem, as_json
from consumer.http.reading import Asking
from consumer.operating.orders import carry_out
from consumer.settings import Settings
from schemas.api.orders import Order, Pause, Pin, Promote, Resume, Retrain, Rollback, Unpin
from schemas.log_events.http import HTTP_ORDER

log = structlog.get_logger()

ORDERS: Mapping[str, type[Order]] = MappingProxyType(
    {
        "retrain": Retrain,
        "pause": Pause,
        "resume": Resume,
        "promote": Promote,
        "rollback": Rollback,
        "pin": Pin,
        "unpin": Unpin,
    }
)
"""What may be ordered, by its address below `/api/v1/orders/`."""

LARGEST = 64 * 1024
"""Bytes of an order."""


class OrderTaker:
    """Takes orders.

    Args:
        settings: of the service.
        asking: asks the ledger.
        clock: the time.
    """

    def __init__(self, settings: Settings, asking: Asking, clock: Clock) -> None:
        self._settings = settings
        self._asking = asking
        self._clock = clock
        self._door = Doorkeeper(settings.http)

    def taking(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of an order."""

        async def take(request: Request) -> Response:
            self._door.check(request)
            order, client = _parsed(ORDERS[name], await _body(request)), client_of(request)
            by = order.by.strip() if order.by is not None else f"HTTP from {client}"
            now = self._clock.now()
            done = await self._asking.ask(lambda ledger: carry_out(order, self._settings, ledger, by=by, now=now))
            log.info(HTTP_ORDER, order=name, by=by, reason=order.reason.strip(), client=client)
            return as_json(done, 202 if name == "retrain" else 200)

        return take


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(
            415, f"an order is JSON, and this is {kind or 'of no type'}", "send Content-Type: application/json"
        )
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > LARGEST:
            raise Problem(413, f"an order has at most {LARGEST} bytes", "send a shorter reason")
    return bytes(found)


def _parsed(kind: type[Order], body: bytes) -> Order:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, one['loc'])) or 'the order'}: {one['msg']}"
            for one in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise Problem(400, "; ".join(faults[:5]), "docs/api.md says what the order may hold") from None
