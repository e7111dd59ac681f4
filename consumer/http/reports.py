"""Reports of cycles: which there are, and the page of one, drawn by another process where it is not there yet."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.requests import Request
from starlette.responses import Response

from consumer.http import asked
from consumer.http.problems import Problem, as_json
from consumer.http.reading import Asking
from consumer.ledger.past_cycles import find_cycle
from consumer.ledger.records import when
from consumer.report_pages import draw, is_drawn
from consumer.settings import Settings
from schemas.cycle import LocalRegistry
from schemas.reports import EVIDENCE_FILE, PAGE_FILE

CSP = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'; sandbox"
)
"""What the page of a report may do: be looked at."""

_MOST = 1000  # reports in a list
_PATIENCE = 40.0  # seconds that a request waits for a page to be drawn
_DRAWERS = 2  # one draws, one waits for its turn


class Reports:
    """Serves the reports that lie on this machine.

    Args:
        settings: where they lie.
        asking: asks the ledger.
    """

    def __init__(self, settings: Settings, asking: Asking) -> None:
        self._settings = settings
        self._asking = asking
        self._stopping = threading.Event()
        self._drawers: CapacityLimiter | None = None  # belongs to a loop, so it is made in one

    def close(self) -> None:
        """Give up what is being drawn."""
        self._stopping.set()

    async def kept(self, request: Request) -> Response:
        """The cycles that have a report here, newest first."""
        asked.known(request)
        return as_json({"reports": await self._asking.work(self._kept)})

    async def page(self, request: Request) -> Response:
        """The page of a cycle."""
        asked.known(request)
        cycle_id = asked.cycle_id(request)
        cycle = await self._asking.ask(lambda ledger: find_cycle(ledger.engine, cycle_id))
        folder = self._settings.reports_dir / str(cycle["cycle_id"])
        if await self._asking.work(lambda: _has_evidence(folder)):
            await self._have_drawn(folder)
            path: Path | None = folder / PAGE_FILE
        else:
            path = self._of_version(cycle)
        content = await self._asking.work(lambda: _content(path))
        if content is None:
            raise Problem(404, f"there is no report of {cycle_id} on this machine", _elsewhere(cycle))
        headers = {"content-security-policy": CSP, "cache-control": "no-store"}
        return Response(content, headers=headers, media_type="text/html")

    def _kept(self) -> list[dict[str, Any]]:
        found = []
        for evidence in self._settings.reports_dir.glob(f"*/{EVIDENCE_FILE}"):
            try:
                at = evidence.stat().st_mtime
            except OSError:  # the oldest go while we look
                continue
            if asked.is_cycle_id(evidence.parent.name):
                found.append((at, evidence.parent))
        newest = sorted(found, reverse=True)[:_MOST]
        return [{"cycle_id": folder.name, "at": when(at), "drawn": is_drawn(folder)} for at, folder in newest]

    async def _have_drawn(self, folder: Path) -> None:
        if await self._asking.work(lambda: is_drawn(folder)):
            return
        if self._drawers is None:
            self._drawers = CapacityLimiter(_DRAWERS)
        try:
            async with asyncio.timeout(_PATIENCE):
                why = await anyio.to_thread.run_sync(
                    lambda: draw(folder, self._stopping), limiter=self._drawers, abandon_on_cancel=True
                )
        except TimeoutError:
            again = {"retry-after": "10"}
            raise Problem(503, "the page is still being drawn", "ask again in a few seconds", again) from None
        except OSError as error:
            raise Problem(503, f"the page cannot be drawn now: {error.strerror}", "ask again later") from None
        if why is not None:
            way_out = f"`retrainer report {folder.name}` on this machine says more"
            raise Problem(404, "the page of this cycle cannot be drawn", way_out)

    def _of_version(self, cycle: dict[str, Any]) -> Path | None:
        """The page that the version of the cycle carries in a local registry."""
        registry, version = self._settings.model_registry, cycle["version"]
        if version is None or not isinstance(registry, LocalRegistry):
            return None
        return registry.path / self._settings.model_name / str(version["version"]) / PAGE_FILE


def _has_evidence(folder: Path) -> bool:
    return (folder / EVIDENCE_FILE).is_file()


def _content(path: Path | None) -> bytes | None:
    try:
        return None if path is None else path.read_bytes()
    except OSError:
        return None


def _elsewhere(cycle: dict[str, Any]) -> str:
    if cycle["result"] is None:
        return "the cycle is still running; its report is drawn when it has ended"
    if cycle["version"] is None:
        return "the newest reports stay on the machine that ran the cycle (RETRAINER_REPORTS__KEEP)"
    number = cycle["version"]["version"]
    return f"look on the machine that ran the cycle, or `retrainer report {number}` takes it from the registry"
