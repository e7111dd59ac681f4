"""A thread that asks a service for its metrics and its status, again and again, as a Prometheus and a script do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urljoin

import httpx

EVERY = {"metrics": 5.0, "api/v1/status": 2.0}
"""Seconds between two requests, by path."""
_PATIENCE = 10.0
"""Seconds that an answer may take; a Prometheus gives up then, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """One request: when it was made, of what, how long it took, how large the answer was, and why it failed."""

    at: float
    path: str
    ms: float
    size: int
    failed: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As a line of a file."""
        return asdict(self)


class Scraper(threading.Thread):
    """Scrapes from `start` to `stop`.

    Args:
        url: of the service.
        keep: called with each scrape, from this thread.
        every: seconds between two requests, by path.
    """

    def __init__(self, url: str, keep: Callable[[Scrape], object], every: Mapping[str, float] = EVERY) -> None:
        super().__init__(name="scraper", daemon=True)
        self._url = url
        self._keep = keep
        self._every = every
        self._ended = threading.Event()

    def stop(self) -> None:
        """No more requests; returns when the last one is over."""
        self._ended.set()
        self.join(2 * _PATIENCE)

    def run(self) -> None:
        began = time.monotonic()
        due = dict.fromkeys(self._every, began)
        with httpx.Client(timeout=_PATIENCE, trust_env=False) as client:
            while True:
                path = min(due, key=lambda one: due[one])
                if self._ended.wait(max(0.0, due[path] - time.monotonic())):
                    return
                self._keep(scraped(client, self._url, path))
                due[path] = max(due[path] + self._every[path], time.monotonic())


def scraped(client: httpx.Client, url: str, path: str) -> Scrape:
    """One request, and what came of it; anything but a 200 with something in it has failed."""
    at, began = time.time(), time.perf_counter()
    size, failed = 0, None
    try:
        answer = client.get(urljoin(url, path))
        size = len(answer.content)
        if answer.status_code != 200:
            failed = f"status {answer.status_code}"
        elif not size:
            failed = "an empty answer"
    except httpx.HTTPError as error:
        failed = f"{type(error).__name__}: {error}"
    return Scrape(round(at, 3), path, round(1000 * (time.perf_counter() - began), 2), size, failed)
