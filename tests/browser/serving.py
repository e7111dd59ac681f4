"""The page as a service gives it: the real server on a real ledger with a past, without Kafka and trainers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copyfile
from typing import Any

from pydantic import SecretStr

from consumer.clock import Clock, this_boot
from consumer.configuration.http import HttpSettings
from consumer.http.server import HttpServer
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.past_cycles import WhichCycles, find_cycles
from consumer.settings import Settings
from consumer.status import Status
from schemas.reports import EVIDENCE_FILE
from tests.browser.filled import Filling
from tests.unit.retrainer.cli.history.past import GOLDEN
from tests.waiting import wait_until

REPORTED = 6
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
        self.ledger.instances.report("one", self._said(clock, running), clock.now(), "retrainer-0")
        return self._said(clock, running)

    def _said(self, clock: Clock, running: dict[str, Any] | None) -> Status:
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
    """A state folder with a past of so many cycles, figures each few `minutes`, and reports of the newest."""
    with closing(open_ledger(Settings(state_dir=folder).ledger.url)) as ledger:
        filling = Filling(ledger, time.time())
        filling.past(cycles)
        filling.pending(37, filling.now - 300)
        filling.samples(14 * 1440, every=minutes)
        newest = [cycle["cycle_id"] for cycle in find_cycles(ledger.engine, WhichCycles(), REPORTED)]
    for cycle_id in newest:
        evidence = folder / "reports" / cycle_id / EVIDENCE_FILE
        evidence.parent.mkdir(parents=True)
        copyfile(GOLDEN / "evidence.json", evidence)
    return folder


@contextmanager
def serving(folder: Path, *, token: str | None = TOKEN, **sections: Any) -> Iterator[Serving]:
    """The page of a state folder, served; `sections` are of its settings."""
    http = HttpSettings(enabled=True, port=0, token=None if token is None else SecretStr(token))
    settings = Settings(state_dir=folder, **sections).model_copy(update={"http": http})
    with closing(open_ledger(settings.ledger.url)) as ledger:
        found = Serving(settings, ledger, Filling(ledger, time.time()))
        found.start()
        yield found
        found.stop()
