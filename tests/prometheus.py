"""A real Prometheus that watches a service by our configuration and rules, in a hurry."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.brokers.apache_kafka import free_port
from tests.unit.project.code import ROOT
from tests.waiting import wait_until

_OURS = ROOT / "observability"
_CONFIG = (
    (r"scrape_interval: 15s", "scrape_interval: 1s"),
    (r"scrape_timeout: 5s", "scrape_timeout: 1s"),
    (r"evaluation_interval: 15s", "evaluation_interval: 1s"),
)
HURRY = (
    (r"for: \d+m", "for: 2s"),
    (r"\[10m\]", "[10s]"),
    (r"> 60$", "> 15"),
    (r"> 604800", "> 20"),
    (r"> 86400", "> 1000"),
)
"""How long things may take in the rules, by what they may take in a test."""


class Prometheus:
    """What it knows."""

    def __init__(self, address: str) -> None:
        self._address = address

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        found = self._asked("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in found if one["state"] == "firing"}

    def labels(self, alert: str) -> list[dict[str, str]]:
        """The labels of each of an alert that fires."""
        found = self._asked("alerts")["alerts"]
        return [one["labels"] for one in found if one["labels"]["alertname"] == alert and one["state"] == "firing"]

    def value(self, query: str) -> float | None:
        """The one value of a query now; None where there is none."""
        found = self._asked("query", query=query)["result"]
        assert len(found) < 2, found
        return float(found[0]["value"][1]) if found else None

    def ready(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self._address}/-/ready", timeout=5).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _asked(self, what: str, **more: str) -> Any:
        answer = httpx.get(f"{self._address}/api/v1/{what}", params=more, timeout=10)
        return answer.raise_for_status().json()["data"]


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """One that scrapes `target`, `host:port`, for as long as the block runs."""
    rules = folder / "rules"
    rules.mkdir(parents=True)
    config = (_OURS / "prometheus.yml").read_text()
    (folder / "prometheus.yml").write_text(_changed(config, (*_CONFIG, (r"retrainer:8642", target))))
    for file in (_OURS / "rules").glob("*.yml"):
        (rules / file.name).write_text(_changed(file.read_text(), HURRY))
    address = f"127.0.0.1:{free_port()}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        found = Prometheus(f"http://{address}")
        wait_until(found.ready, 30, f"Prometheus to be ready; see {folder / 'prometheus.log'}")
        yield found
    finally:
        process.kill()
        process.wait()


def _changed(text: str, changes: tuple[tuple[str, str], ...]) -> str:
    """The text with each of the changes, every one of which has to change something."""
    for pattern, instead in changes:
        text, count = re.subn(pattern, instead, text, flags=re.MULTILINE)
        assert count, f"there is no {pattern} to change"
    return text
