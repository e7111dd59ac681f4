"""What is told of status, cycles, versions and reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from consumer.clock import Clock
from consumer.http.parts import freshness_now
from consumer.http.problems import as_json
from consumer.http.reading import Asking
from consumer.ledger.ledger import Ledger
from consumer.operating.overview import overview
from consumer.release import release
from consumer.settings import Settings
from consumer.status import Status


class Answers:
    """Answers by what service and ledger say now.

    Args:
        settings: of the service.
        asking: asks the ledger.
        status: what the service said last; None before it has said anything.
        clock: the time.
    """

    def __init__(self, settings: Settings, asking: Asking, status: Callable[[], Status | None], clock: Clock) -> None:
        self._settings = settings
        self._asking = asking
        self._said = status
        self._clock = clock

    async def status(self, _request: Request) -> Response:
        """How the service is."""
        said = self._said()  # before the ledger, which is the newer one then

        def now(ledger: Ledger) -> dict[str, Any]:
            return {
                **overview(self._settings, ledger, self._clock, said),
                "freshness": freshness_now(self._settings, ledger, self._clock.now()),
                "actions": self._settings.http.token is not None,
                "release": release(),
            }

        return as_json(await self._asking.ask(now))
