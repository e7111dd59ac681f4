"""The installed service as a process, with a store and a topic of its own, and what people see of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

from consumer.ledger.ledger import open_ledger
from consumer.ledger.views import Read
from schemas.fault_points import Point
from schemas.log_events.cycles import CYCLE_ENDED, CYCLE_STEP
from stores.features.local import LocalFeatureStore
from tests.commands import call
from tests.integration.topics import Topic
from tests.log_lines import departures
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names

RETRAINER = Path(sys.executable).with_name("retrainer")

QUICK = {
    "KAFKA__SESSION_TIMEOUT_MS": "6000",
    "FEATURE_GROUP__NAME": GROUP.name,
    "FEATURE_GROUP__COLUMNS": json.dumps([column.model_dump() for column in GROUP.columns]),
    "TRIGGER__CHANGED_USERS": "20",
    "TRIGGER__QUIET_PERIOD": "0.7",
    "TRIGGER__MIN_INTERVAL": "0",
    "TRIGGER__MAX_STALENESS": "60",
    "TRIGGER__MAX_BACKOFF": "5",
    "TRIGGER__MAX_FULL_PER_DAY": "1000",
    "TRIGGER__FULL_ON_DRIFT": "false",  # a story counts its cycles
    "PAIRS__MAX_POSITIVES_PER_USER": "15",
    "SPLIT__HOLDOUT_SHARE": "0.25",
    "FIT__BATCH_USERS": "128",
    "FIT__FULL_EPOCHS": "8",
    "FIT__INCREMENTAL_EPOCHS": "3",
    "GATE__DRAWS": "200",
    "GATE__MARGIN": "0.2",  # these tests are about the loop; whether a model is good is tested elsewhere
    "GATE__RECALL_MARGIN": "0.5",
    "GATE__PRECISION_MARGIN": "0.5",
    "GATE__CALIBRATION_MARGIN": "0.5",
    "GATE__NEGLIGIBLE": "0.5",
    "GATE__REGISTER_UNCHANGED": "true",  # a wave that teaches nothing is a version all the same
    "TRAINER__RETRY_WAIT": "0.2",
    "TRAINER__WARM": "false",  # most would start one for nothing, and two cores is what there is
    "REPORTS__HTML": "false",  # a page costs as much as some of these cycles
    "LOG__FORMAT": "json",
}


class ServiceProcess:
    """A service in a folder of its own, and what it says; `settings` are named without the prefix."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._settings = dict(settings)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def state_dir(self) -> Path:
        return Path(self._settings.get("STATE_DIR", self.folder))

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RETRAINER_")}
        settings = {"STATE_DIR": str(self.folder), "HTTP__ENABLED": "false", **self._settings}
        return {**inherited, **{f"RETRAINER_{name}": value for name, value in settings.items()}}

    def start(self, command: str = "run") -> None:
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen([RETRAINER, command], env=self.environment, stderr=log)

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.terminate()
        code = self.process.wait(100)
        self.process = None
        return code

    def kill(self) -> None:
        """SIGKILL; its trainers have to end by themselves."""
        assert self.process is not None
        trainers = self.trainers()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process = None
        wait_until(lambda: not any(map(_alive, trainers)), 20, "orphaned trainers to end by themselves")

    def die(self) -> None:
        """SIGKILL to it and its trainers, as when the machine dies."""
        assert self.process is not None
        trainers = self.trainers()
        self.process.kill()
        for trainer in trainers:
            trainer.kill()
        self.process.wait()
        self.process = None
        psutil.wait_procs(trainers, timeout=20)

    @contextmanager
    def standing_still_at(self, point: Point) -> Iterator[None]:
        """Start it; for the block a trainer stands still at a point, the first to reach it, and dies with the service.

        The next start is one like any other.
        """
        with self._armed(point, "SIGSTOP") as mark:
            self.start()
            wait_until(lambda: self._checked(mark.exists()), 90, f"{point}; see {self.folder / 'service.log'}")
            yield
            self.die()

    def dies_at(self, point: Point) -> None:
        """Start it, and have it die by SIGKILL at a point of its own; the next start is one like any other."""
        with self._armed(point, "SIGKILL") as mark:
            self.start()
            assert self.process is not None
            wait_until(mark.exists, 90, f"{point}; see {self.folder / 'service.log'}")
            self.process.wait()
            self.process = None

    @contextmanager
    def _armed(self, point: Point, sent: str) -> Iterator[Path]:
        """Whoever reaches a point first is sent a signal; gives the mark that is made just before."""
        mark = self.folder / f"{point}.reached"
        armed = {"FAULT_POINT": str(point), "FAULT_SIGNAL": sent, "FAULT_MARK": str(mark)}
        self._settings |= armed
        yield mark
        for name in armed:
            del self._settings[name]

    def trainers(self) -> list[psutil.Process]:
        """Its trainer processes."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def call(self, *arguments: str, within: float = 600) -> subprocess.CompletedProcess[str]:
        """Run a command of the same installation, for so many seconds at most."""
        return subprocess.run(
            [RETRAINER, *arguments], env=self.environment, capture_output=True, text=True, check=False, timeout=within
        )

    def read(self, *arguments: str) -> Any:
        """What a command that only reads tells as JSON; called in this process, as to start one takes a second."""
        with mock.patch.dict(os.environ, self.environment, clear=True):
            told = call(*arguments, "--json")
        assert told.out, told
        return json.loads(told.out)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.read("status")
        return found

    def counted(self) -> Read:
        """What its ledger has counted. Whoever waits asks here: `status` computes more."""
        url = self._settings.get("LEDGER__URL", f"sqlite:///{self.state_dir / 'ledger.db'}")
        with closing(open_ledger(url, create=False)) as ledger:
            return ledger.views.read()

    def versions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.read("versions")
        return found

    def log(self) -> list[dict[str, Any]]:
        """Its log lines so far, over all its starts."""
        lines = (self.folder / "service.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def ended(self) -> list[dict[str, Any]]:
        """The cycles that it said have ended."""
        return [line for line in self.log() if line["event"] == CYCLE_ENDED]

    def wait_for_cycles(self, count: int) -> None:
        """Until it has said that `count` cycles ended."""
        what = f"{count} cycles to end; see {self.folder / 'service.log'}"
        wait_until(lambda: self._checked(len(self.ended()) >= count), 90, what)

    def wait_for_step(self, step: str, cycle: int) -> None:
        """Until the cycle after `cycle` ended ones has reached a step."""

        def reached() -> bool:
            since = [at for at, line in enumerate(self.log()) if line["event"] == CYCLE_ENDED]
            after = self.log()[since[cycle - 1] if cycle else 0 :]
            return self._checked(any(line["event"] == CYCLE_STEP and line["step"] == step for line in after))

        wait_until(reached, 60, f"step {step} after {cycle} cycles")

    def _checked(self, answer: bool) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the service ended with {self.process.returncode}: {self.log()[-3:]}")
        return answer

    def close(self) -> None:
        """Leave nothing running; what was logged has to be what schemas/log_events says of it."""
        if self.process is not None:
            self.kill()
        if (self.folder / "service.log").exists():
            assert departures(self.log()) == []


class Service(ServiceProcess):
    """A service on a local store and a topic of its own."""

    def __init__(self, folder: Path, broker: str, **more: str) -> None:
        self.topic = Topic.new(broker)
        self.world = World()
        self.store = LocalFeatureStore(folder / "feature_store.db", GROUP)
        own = {
            "KAFKA__BOOTSTRAP_SERVERS": self.topic.broker,
            "KAFKA__TOPIC": self.topic.name,
            "KAFKA__GROUP_ID": f"g-{self.topic.name}",
        }
        super().__init__(folder, {**QUICK, **own, **more})

    def fill(self, count: int = 400) -> None:
        """The first users, and their events."""
        self.store.commit(self.world.rows(names(count)))
        self.topic.relay(self.store)

    def wave(self, number: int) -> None:
        """Thirty users change, five are new, five go."""
        changed = names(30, start=40 * number)
        new = names(5, start=1000 + 10 * number)
        self.store.commit(self.world.rows([*changed, *new]), names(5, start=40 * number + 35))
        self.topic.relay(self.store)

    def close(self) -> None:
        """As ever, and the store."""
        self.store.close()
        super().close()


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
