"""What is told of status, cycles, versions and reports."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from consumer.clock import Clock
from consumer.http import asked
from consumer.http.problems import Problem, as_answer, as_json, listed
from consumer.http.reading import Asking
from consumer.ledger.ledger import Ledger
from consumer.ledger.past_cycles import State, WhichCycles, each_cycle, find_cycle
from consumer.ledger.records import when
from consumer.operating.overview import overview
from consumer.release import release
from consumer.settings import Settings
from consumer.status import Status
from schemas.cycle import CycleKind, CycleResult
from schemas.decision import decision

MOST_CYCLES, MOST_VERSIONS, MOST_POINTS = 100, 1000, 2000
"""At most so many in one answer."""
DAY = 86_400.0


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

    async def status(self, request: Request) -> Response:
        """How the service is."""
        asked.known(request)
        said = self._said()  # before the ledger, which is the newer one then

        def now(ledger: Ledger) -> dict[str, Any]:
            return {
                **overview(self._settings, ledger, self._clock, said),
                "actions": self._settings.http.token is not None,
                "release": release(),
            }

        return as_json(await self._asking.ask(now))

    async def cycles(self, request: Request) -> Response:
        """The newest cycles, or those before one, newest first."""
        asked.known(request, "limit", "before", "outcome", "kind")
        limit = asked.number(request, "limit", 20, MOST_CYCLES)
        wanted = WhichCycles(
            asked.words(request, "outcome", State),
            asked.words(request, "kind", CycleKind),
            before=asked.cycle_number(request, "before"),
        )

        def found(ledger: Ledger) -> str:
            with closing(each_cycle(ledger.engine, wanted)) as cycles:
                return listed("cycles", map(_decided, cycles), limit)

        return as_answer(await self._asking.ask(found))

    async def cycle(self, request: Request) -> Response:
        """One cycle."""
        name = asked.cycle_id(request)
        return as_json(await self._asking.ask(lambda ledger: _decided(find_cycle(ledger.engine, name))))

    async def versions(self, request: Request) -> Response:
        """The newest versions, oldest first."""
        asked.known(request, "limit")
        limit = asked.number(request, "limit", 100, MOST_VERSIONS)

        def found(ledger: Ledger) -> str:
            with closing(ledger.views.each_version()) as versions:
                return listed("versions", versions, limit, turned=True)

        return as_answer(await self._asking.ask(found))

    async def version(self, request: Request) -> Response:
        """One version."""
        number = asked.version(request)
        found = await self._asking.ask(lambda ledger: ledger.views.version(number))
        if found is None:
            raise Problem(404, f"there is no version {number}", "GET /api/v1/versions lists them")
        return as_json(found)

    async def samples(self, request: Request) -> Response:
        """How the service was, minute by minute."""
        asked.known(request, "since", "points")
        now = self._clock.now()
        since, points = asked.moment(request, "since", now - DAY), asked.number(request, "points", 300, MOST_POINTS)
        found = await self._asking.ask(lambda ledger: ledger.samples.read(since, now, points))
        return as_json({"samples": [{**one.model_dump(mode="json"), "at": when(one.at)} for one in found]})


def _decided(cycle: dict[str, Any]) -> dict[str, Any]:
    """A cycle, and how it ended in a sentence."""
    result = cycle["result"]
    return {**cycle, "decision": None if result is None else decision(CycleResult.model_validate(result))}
