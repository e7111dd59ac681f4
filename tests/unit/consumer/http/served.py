"""What is served, asked without a socket, on a ledger with a short past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from consumer.clock import Clock, this_boot
from consumer.http.app import Application
from consumer.ledger.ledger import Ledger
from consumer.settings import Settings
from consumer.status import Status
from tests.unit.retrainer.cli.history.past import short_past

TOKEN = "a-token-of-tests-0123456789"  # noqa: S105
NOW = 10_000.0


@dataclass
class Served:
    """An application, its ledger, and a client that may ask it anything."""

    settings: Settings
    ledger: Ledger
    application: Application
    client: TestClient
    cycles: list[str]
    """Ids: a first version, a held cycle, a second version, and one that runs."""
    said: list[Status]
    """What the service said last, at the end."""

    def get(self, path: str, **more: Any) -> Any:
        """The JSON of an answer that has to be a success."""
        answer = self.client.get(path, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def order(self, name: str, token: str | None = TOKEN, **body: Any) -> Any:
        """The answer to an order."""
        headers = {"authorization": f"Bearer {token}"} if token is not None else {}
        return self.client.post(f"/api/v1/orders/{name}", json={"reason": "a test", **body}, headers=headers)


def serve(
    ledger: Ledger, folder: Path, *, opened: Callable[[], Ledger] | None = None, past: bool = True, **http: Any
) -> Served:
    """An application on a ledger, which gets a past unless it has one; `http` are settings of that section."""
    url = str(ledger.engine.url.render_as_string(hide_password=False))
    settings = Settings(
        state_dir=folder,
        ledger={"url": url},
        http={"token": TOKEN, **http},
    )
    cycles = short_past(ledger) if past else []
    said = [listening()]
    application = Application(settings, lambda: said[-1] if said else None, opened or (lambda: ledger), clock())
    client = TestClient(application, base_url="http://127.0.0.1:8642", raise_server_exceptions=False)
    return Served(settings, ledger, application, client, cycles, said)


def clock(elapsed: float = 500.0) -> Clock:
    """A clock that stands still."""
    return Clock(now=lambda: NOW, elapsed=lambda: elapsed)


def listening(**more: Any) -> Status:
    """What a service says that is well."""
    told: dict[str, Any] = {
        "pid": 1,
        "state": "listening",
        "written_at": NOW - 0.5,
        "polled_at": NOW - 1,
        "lag": 0,
        "hold": None,
        "cycle": None,
        "partitions": 2,
        "caught_up": True,
        "listener": "listening",
        "boot": this_boot(),
        "written_elapsed": 499.5,
        "polled_elapsed": 499.0,
    }
    return Status(**{**told, **more})
