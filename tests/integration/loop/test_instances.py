"""Several instances on one PostgreSQL ledger: they share the topic, one runs cycles, and another takes over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer.ledger.ledger import open_ledger
from schemas.log_events.cycles import CYCLE_ABANDONED, CYCLE_RESUMED
from schemas.log_events.event import LogEvent
from schemas.log_events.service import LEASE_LOST, RUNNING_CYCLES, STANDING_BY, TAKING_OVER
from schemas.manifest import ModelManifest
from stores.features.local import LocalFeatureStore
from stores.registry.local import LocalModelRegistry
from tests.databases.postgresql import PostgreSQL
from tests.integration.service import QUICK, ServiceProcess
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names, trainer_settings

pytestmark = pytest.mark.full

LONG = {"FIT__INCREMENTAL_EPOCHS": "30", "FIT__PATIENCE": "30"}  # long enough to be hit in the middle


class Fleet:
    """Instances `a` and `b` on one ledger, store, registry and topic; each has a state folder of its own."""

    def __init__(self, folder: Path, broker: str, ledger_url: str, **more: str) -> None:
        self.topic = Topic.new(broker, partitions=3)
        self.world = World()
        self.store = LocalFeatureStore(folder / "feature_store.db", GROUP)
        self.registry = LocalModelRegistry(folder / "registry", trainer_settings(folder).model_name)
        self._waves = 0
        shared = {
            **QUICK,
            **LONG,
            "KAFKA__BOOTSTRAP_SERVERS": broker,
            "KAFKA__TOPIC": self.topic.name,
            "KAFKA__GROUP_ID": f"g-{self.topic.name}",
            "LEDGER__URL": ledger_url,
            "FEATURE_STORE__PATH": str(folder / "feature_store.db"),
            "MODEL_REGISTRY__PATH": str(folder / "registry"),
            "LEASE__PATIENCE": "4",
            **more,
        }
        self.a, self.b = (ServiceProcess(folder / name, shared) for name in ("a", "b"))
        for instance in (self.a, self.b):
            instance.folder.mkdir()
        self.ledger = open_ledger(ledger_url)

    def fill(self) -> None:
        self.store.commit(self.world.rows(names(400)))
        self.topic.relay(self.store)

    def wave(self) -> None:
        """Thirty users change and five go."""
        self._waves += 1
        changed = names(30, start=40 * self._waves)
        self.store.commit(self.world.rows(changed), names(5, start=40 * self._waves + 35))
        self.topic.relay(self.store)

    def versions(self) -> list[dict[str, Any]]:
        return self.ledger.views.versions()

    def wait_for_versions(self, count: int) -> None:
        wait_until(lambda: len(self.versions()) >= count, 90, f"{count} versions")

    def close(self) -> None:
        for instance in (self.a, self.b):
            if instance.process is not None:
                instance.process.send_signal(signal.SIGCONT)
            instance.close()
        self.store.close()
        self.ledger.close()


@pytest.fixture
def fleet(kafka_address: str, postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path, kafka_address, postgresql.new_schema())
    yield made
    made.close()


def said(instance: ServiceProcess, event: LogEvent) -> Callable[[], bool]:
    return lambda: any(line["event"] == event for line in instance.log())


def last_said(instance: ServiceProcess, *events: LogEvent) -> Any:
    return next(line["event"] for line in reversed(instance.log()) if line["event"] in events)


def check_versions(fleet: Fleet) -> None:
    """Every cycle has one version, the ledger's are the registry's, and their offsets tile the topic."""
    versions = fleet.versions()
    cycles = [version["cycle_id"] for version in versions]
    assert len(set(cycles)) == len(cycles)
    registered = {found.version: found.manifest.cycle_id for found in fleet.registry.versions()}
    assert registered == {version["version"]: version["cycle_id"] for version in versions}
    for partition, end in fleet.topic.ends().items():
        ranges = [
            version["offsets"][fleet.topic.name][str(partition)]
            for version in versions
            if str(partition) in version["offsets"].get(fleet.topic.name, {})
        ]
        assert [begin for begin, _ in ranges] == [0, *(upper for _, upper in ranges[:-1])]
        assert ranges[-1][1] == end


def manifest(fleet: Fleet, version: int) -> ModelManifest:
    return next(found.manifest for found in fleet.registry.versions() if found.version == version)


def test_when_the_one_that_runs_cycles_is_killed_another_ends_its_cycle_and_later_none_trains_on_old_rows(
    fleet: Fleet,
) -> None:
    fleet.fill()
    fleet.a.start()
    wait_until(said(fleet.a, RUNNING_CYCLES), 60, "a to run cycles")
    fleet.b.start()
    wait_until(said(fleet.b, STANDING_BY), 60, "b to stand by")
    wait_until(lambda: len(fleet.b.status()["instances"]) == 2, 30, "both to be seen")
    fleet.a.wait_for_cycles(1)
    fleet.wave()
    fleet.a.wait_for_step("fit", 1)
    seen = fleet.b.status()
    assert seen["cycle"]["state"].startswith("run by ")
    assert seen["hold"] == "another instance runs cycles"
    fleet.a.kill()
    fleet.wait_for_versions(2)
    (cut_short,) = [line for line in fleet.b.log() if line["event"] == CYCLE_RESUMED]
    assert fleet.versions()[1]["cycle_id"] == cut_short["cycle_id"]
    fleet.wave()
    fleet.wait_for_versions(3)

    fleet.a.start()  # its copy of the embedding space has missed a cycle
    wait_until(lambda: len(fleet.b.status()["instances"]) == 2, 60, "a to be seen again")
    assert last_said(fleet.a, STANDING_BY, RUNNING_CYCLES) == STANDING_BY
    assert fleet.b.stop() == 0
    wait_until(lambda: last_said(fleet.a, STANDING_BY, RUNNING_CYCLES) == RUNNING_CYCLES, 30, "a to run cycles")
    fleet.wave()
    fleet.wait_for_versions(4)
    check_versions(fleet)
    assert manifest(fleet, 4).read_report.accepted == fleet.store.count()
    assert manifest(fleet, 4).pair_report.users == fleet.store.count()


@pytest.mark.parametrize("whole", [False, True], ids=["the consumer alone", "with its trainer"])
def test_one_that_was_stalled_is_replaced_and_its_writes_are_refused_when_it_wakes(fleet: Fleet, whole: bool) -> None:
    fleet.fill()
    fleet.a.start()
    wait_until(said(fleet.a, RUNNING_CYCLES), 60, "a to run cycles")
    fleet.b.start()
    fleet.a.wait_for_cycles(1)
    fleet.wave()
    fleet.a.wait_for_step("fit", 1)
    assert fleet.a.process is not None
    stalled = [fleet.a.process.pid, *(trainer.pid for trainer in fleet.a.trainers() if whole)]
    for pid in stalled:
        os.kill(pid, signal.SIGSTOP)
    wait_until(said(fleet.b, TAKING_OVER), 60, "b to take over")
    fleet.wait_for_versions(2)
    for pid in stalled:
        os.kill(pid, signal.SIGCONT)
    wait_until(said(fleet.a, LEASE_LOST), 60, "a to find out")
    wait_until(said(fleet.a, CYCLE_ABANDONED), 30, "a to let go of its cycle")
    wait_until(lambda: not fleet.a.trainers(), 30, "its trainer to be gone")
    assert len(fleet.a.ended()) == 1
    fleet.wave()
    fleet.wait_for_versions(3)
    check_versions(fleet)
    assert fleet.a.process.poll() is None
    assert fleet.a.status()["instances"][0]["runs_cycles"] is False
