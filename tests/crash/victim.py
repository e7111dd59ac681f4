"""The service as processes to be killed: a process group for the consumer, and one for each of its trainers."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

from schemas.fault_points import Point
from tests.crash.follows import LABELS
from tests.crash.topic import Topics
from tests.integration.service import QUICK, RETRAINER, ServiceProcess
from tests.integration.topics import Topic
from tests.waiting import wait_until

_PAUSE = 0.005
_LOOK_EVERY = 0.25

# A cycle follows another at once, and no gate stands in the way: these tests are about what is lost, not what is good.
HASTY = {
    **QUICK,
    "TRAINER__WARM": "true",  # as people run it
    "KAFKA__SESSION_TIMEOUT_MS": "2500",
    "KAFKA__COMMIT_INTERVAL": "0.5",
    "LABELS__NAME": LABELS.name,
    "TRIGGER__CHANGED_USERS": "1",
    "TRIGGER__CHANGED_LABELS": "1",
    "TRIGGER__REGRET": "0",
    "TRIGGER__QUIET_PERIOD": "0",
    "TRIGGER__FULL_ON_DRIFT": "false",
    "FIT__OBJECTIVE": "outcomes",
    "FIT__FULL_EPOCHS": "3",
    "FIT__INCREMENTAL_EPOCHS": "1",
    "FIT__MIN_REPLAY_USERS": "32",
    "GATE__MARGIN": "1",
    "GATE__RECALL_MARGIN": "1",
    "GATE__PRECISION_MARGIN": "1",
    "GATE__CALIBRATION_MARGIN": "1",
    "GATE__AUC_MARGIN": "1",
    "GATE__GUARD_RAIL_MARGIN": "1",
    "GATE__NEGLIGIBLE": "1",
    "GATE__REGISTER_UNCHANGED": "true",
    "GATE__MIN_USERS": "5",
    "GATE__MIN_LABELS": "5",
    "GATE__MIN_ACCURACY": "0",
    "GATE__MIN_AUC": "0",
    "GATE__MIN_RECALL_AT_10": "0",
    "LEDGER__REMEMBER": "true",  # who was learned is looked up at the end
    "GUARD__SAMPLE": "0",  # the stream moves everybody within seconds, long before a killed service hears of it
}

_SETTLES_EVERY = 4
"""Every fourth start lets cycles settle without a version where the champion has lost nothing."""


class Service(ServiceProcess):
    """A service on two topics, to be started with a fault point and to be killed."""

    def __init__(self, folder: Path, topics: Topics, pythonpath: str | None = None, **more: str) -> None:
        own = {
            "KAFKA__BOOTSTRAP_SERVERS": topics.users.broker,
            "KAFKA__TOPIC": topics.users.name,
            "KAFKA__LABEL_TOPIC": topics.labels.name,
            "KAFKA__GROUP_ID": f"g-{topics.users.name}",
            "MODEL_EVENTS__TOPIC": Topic.new(topics.users.broker, partitions=1).name,  # its points are on the way, too
        }
        super().__init__(folder, {**HASTY, **own, **more})
        self._pythonpath = pythonpath
        self._starts = 0
        self._trainers: set[psutil.Process] = set()
        self._own: set[psutil.Process] = set()

    @property
    def environment(self) -> dict[str, str]:
        """Its settings, and where its code is."""
        path = {"PYTHONPATH": self._pythonpath} if self._pythonpath else {}
        return {**super().environment, **path}

    def start_armed(self, point: Point | None, times: int = 1, *, varied: bool = False) -> None:
        """Start it, by settings that may be `varied`; the process that reaches `point` the `times`-th time dies."""
        self._starts += 1
        settles = varied and self._starts % _SETTLES_EVERY == 0
        self._settings["TRIGGER__SETTLE_UNCHANGED"] = str(settles).lower()
        self._settings["FAULT_POINT"] = f"{point}:{times}" if point else ""
        self._settings["FAULT_MARK"] = str(self._mark)
        self._own = set()
        self.start()

    def start(self, command: str = "run") -> None:
        """Start it as a process group of its own."""
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [RETRAINER, command], env=self.environment, stderr=log, start_new_session=True
            )

    @property
    def fired(self) -> bool:
        """Whether the point of this start was reached."""
        return self._mark.exists()

    @property
    def gone(self) -> bool:
        """Whether the consumer has ended."""
        return self.process is None or self.process.poll() is not None

    def watch(self, seconds: float) -> None:
        """Look at it until its point is reached, it has ended, or `seconds` have passed."""
        deadline, look = time.monotonic() + seconds, 0.0
        while not self.fired and not self.gone and (now := time.monotonic()) < deadline:
            if now >= look:  # once a consumer has died nobody can say which trainers were its own
                self._note_trainers()
                look = now + _LOOK_EVERY
            time.sleep(_PAUSE)

    def wait(self, seconds: float) -> None:
        """Let it work, though its point was reached."""
        deadline = time.monotonic() + seconds
        while not self.gone and time.monotonic() < deadline:
            time.sleep(_PAUSE)

    def kill_trainers(self) -> bool:
        """SIGKILL to every trainer; says whether one of them was this consumer's own."""
        self._note_trainers()
        alive = self._alive()
        _kill_groups(trainer.pid for trainer in alive)
        return bool(alive & self._own)

    def kill_consumer(self) -> None:
        """SIGKILL, unless it has died already; its trainers have to end by themselves."""
        assert self.process is not None
        self._note_trainers()
        _kill_groups([self.process.pid] if not self.gone else [])
        self._reap()

    def kill_both(self) -> bool:
        """One blow: SIGKILL to the consumer's group and to every trainer's, with nothing between; says as above."""
        assert self.process is not None
        self._note_trainers()
        alive = self._alive()
        _kill_groups([*([self.process.pid] if not self.gone else []), *(trainer.pid for trainer in alive)])
        self._reap()
        return bool(alive & self._own)

    def wait_for_orphans(self) -> None:
        """Until every trainer that there ever was has ended."""
        wait_until(lambda: not any(map(_alive, self._trainers)), 30, "orphaned trainers to end by themselves")

    @property
    def _mark(self) -> Path:
        """A file for each start, so that a trainer left over from an earlier one is not taken for this one's."""
        return self.folder / f"mark-{self._starts}"

    def _note_trainers(self) -> None:
        with suppress(psutil.NoSuchProcess):
            if not self.gone:
                self._own |= set(self.trainers())
                self._trainers = self._alive() | self._own

    def _alive(self) -> set[psutil.Process]:
        return {trainer for trainer in self._trainers if _alive(trainer)}

    def _reap(self) -> None:
        assert self.process is not None
        self.process.wait()
        self.process = None


def _kill_groups(leaders: Iterable[int]) -> None:
    for leader in list(leaders):
        with suppress(ProcessLookupError):  # it has ended, or is just being started in its consumer's group
            os.killpg(leader, signal.SIGKILL)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
