"""The page as a service gives it: the real server on a real ledger with a past, without Kafka and trainers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from consumer.clock import Clock, this_boot
from consumer.configuration.http import HttpSettings
from consumer.http.server import HttpServer
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.settings import Settings
from consumer.status import Status
from tests.browser.filled import Filling
from tests.waiting import wait_until

TOKEN = "a-token-for-tests-0123456789"  # noqa: S105


@dataclass
class Serving:
    """A service's page, and what the service says of itself: `says` are fields of its `Status`."""

    settings: Settings
    ledger: Ledger
    filling: Filling
    says: dict[str, Any] = field(default_factory=dict)
    server: HttpServer | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        """Serve, at the port of before where there was one."""
        http = self.settings.http.model_copy(update={"port": self.port})
        server = HttpServer(self.settings.model_copy(update={"http": http}), self.status)
        server.start()
        wait_until(lambda: server.url is not None, 5, "the server to serve")
        assert server.url is not None
        self.server, self.port = server, int(server.url.rstrip("/").rsplit(":", 1)[1])

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop()
            self.server = None

    def status(self) -> Status:
        """What the service would say now, by its ledger."""
        clock, running = Clock(), self.ledger.views.running()
        held, paused = self.ledger.views.history().held, self.ledger.orders.paused()
        hold = "too little has changed"
        if running is not None:
            at_work = {"state": "running", "step": "fit", "done": 6, "total": 15, "running_s": 41.0}
            running, hold = running | at_work | {"next_try_at": None}, "a cycle is running"
        elif paused is not None:
            hold = "a person has paused cycles"
        elif held is not None:
            hold = "the last cycle was held; new changes are tried again later"
        found = {
            "pid": os.getpid(),
            "state": "training" if running else "held" if held else "listening",
            "written_at": clock.now(),
            "polled_at": clock.now(),
            "lag": 12,
            "hold": hold,
            "cycle": running,
            "runs_cycles": True,
            "partitions": 4,
            "caught_up": True,
            "listener": "listening",
            "boot": this_boot(),
            "written_elapsed": clock.elapsed(),
            "polled_elapsed": clock.elapsed(),
        }
        return Status(**{**found, **self.says})


def past(folder: Path, cycles: int = 44, *, minutes: int = 15) -> Path:
    """A state folder whose ledger has a past of so many cycles, with figures of each fifteen `minutes`."""
    with closing(open_ledger(Settings(state_dir=folder).ledger.url)) as ledger:
        filling = Filling(ledger, time.time())
        filling.past(cycles)
        filling.pending(37, filling.now - 300)
        filling.samples(14 * 1440, every=minutes)
    return folder


@contextmanager
def serving(folder: Path, *, token: str | None = TOKEN) -> Iterator[Serving]:
    """The page of a state folder, served."""
    http = HttpSettings(enabled=True, port=0, token=None if token is None else SecretStr(token))
    settings = Settings(state_dir=folder).model_copy(update={"http": http})
    with closing(open_ledger(settings.ledger.url)) as ledger:
        found = Serving(settings, ledger, Filling(ledger, time.time()))
        ledger.instances.report("one", found.status(), time.time(), "retrainer-0")
        found.start()
        yield found
        found.stop()
