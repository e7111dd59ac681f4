"""P1 and P2 where the disk is full, read-only or broken: said clearly, nothing lost, and mended when the disk is."""

from __future__ import annotations

import gc
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import pytest
from sqlalchemy.exc import DBAPIError

from consumer.ledger.ledger import open_ledger
from consumer.listener.state import ListenerState
from consumer.status import Status, read_status
from schemas.cycle import CycleKind
from schemas.log_events.cycles import TRAINER_FAILED
from schemas.log_events.event import LogEvent
from schemas.log_events.listener import LEDGER_REFUSES_CHANGES, LEDGER_TAKES_CHANGES
from schemas.policies import PairPolicy
from stores.registry.local import LocalModelRegistry
from tests.integration import volumes
from tests.integration.burst import Members
from tests.integration.service import Service
from tests.waiting import wait_until
from tests.worlds import GROUP, names
from trainer.space import Space

REFUSES = ListenerState.LEDGER_REFUSES

Make = Callable[..., Service]
NO_CYCLES = {"TRIGGER__QUIET_PERIOD": "3600", "TRIGGER__MAX_STALENESS": "3600"}


@pytest.fixture
def state() -> Iterator[Path]:
    """Where the state volume is mounted: whatever is still mounted where the run keeps its files goes with it."""
    with TemporaryDirectory(prefix="volumes-") as folder:
        yield Path(folder) / "state"


@pytest.fixture
def make(tmp_path: Path, kafka_address: str, state: Path) -> Iterator[Make]:
    """Makes the service, whose state alone lies on the volume."""
    made: list[Service] = []

    def one(**more: str) -> Service:
        places = {"STATE_DIR": str(state), "FEATURE_STORE__PATH": str(tmp_path / "feature_store.db")}
        # A listener that does not poll for some seconds would have left its group.
        quick = {"KAFKA__MAX_POLL_INTERVAL_MS": "9000"}
        made.append(Service(tmp_path, kafka_address, **places, **quick, **more))
        return made[-1]

    yield one
    for service in made:
        service.close()


def health(service: Service) -> int:
    check = [sys.executable, "-m", "consumer.health"]
    return subprocess.run(check, env=service.environment, capture_output=True, check=False).returncode


def status_of(service: Service) -> Status:
    found = read_status(service.state_dir / "status.json")
    assert found is not None
    return found


def said(service: Service, event: LogEvent) -> list[dict[str, Any]]:
    return [line for line in service.log() if line["event"] == event]


def is_idle(service: Service) -> bool:
    """Whether its trainer has ended, and is not yet known to have."""
    return all(trainer.status() == psutil.STATUS_ZOMBIE for trainer in service.trainers())


def matrix_and_pairs_are_sound(service: Service, state: Path, copy: Path) -> None:
    """The matrix has the rows of the feature store, and its pairs are those that mining all of them gives (P3)."""
    manifest = LocalModelRegistry(service.folder / "registry", "two_tower_recommender").versions()[-1].manifest
    shutil.copytree(state / "trainer" / "spaces" / manifest.space.space_id, copy)
    kept = Space.open(copy, manifest.space, GROUP)
    assert kept is not None
    users, rows = kept.matrix.users()
    stored = service.store.read(users)
    assert len(users) == service.store.count() == len(stored.keys)
    for number, user in enumerate(stored.keys):
        blocks = [stored.columns[column.name][number] for column in GROUP.columns]
        row = np.concatenate([np.ravel(block) for block in blocks if block is not None])
        assert kept.matrix.raw[rows[users.index(user)]].tolist() == row.tolist()
    (copy / "pairs.bin").unlink()
    anew = Space.open(copy, manifest.space, GROUP)
    assert anew is not None
    anew.update_pairs(PairPolicy(max_positives_per_user=15), lambda _done, _of: None)
    assert kept.graph.codes().tolist() == anew.graph.codes().tolist()


def is_sound(ledger: Path) -> bool:
    with closing(sqlite3.connect(ledger)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def ranges_tile(service: Service) -> bool:
    """Whether the versions cover all that the topic holds, each record once."""
    reached = dict.fromkeys(service.topic.ends(), 0)
    for version in service.versions():
        for number, (start, end) in version["offsets"][service.topic.name].items():
            if start != reached[int(number)]:
                return False
            reached[int(number)] = end
    return reached == service.topic.ends()


@pytest.mark.full
def test_a_state_volume_that_fills_up_while_a_cycle_trains_loses_nothing_and_goes_on_when_there_is_room(
    state: Path, tmp_path: Path, make: Make
) -> None:
    service = make(MODEL_REGISTRY__PATH=str(tmp_path / "registry"), FIT__INCREMENTAL_EPOCHS="30", FIT__PATIENCE="30")
    with volumes.memory(state, megabytes=24), closing(Members(service)) as members:
        service.fill()
        service.start()
        service.wait_for_cycles(1)
        service.wave(1)
        service.wait_for_step("fit", 1)
        before = members.look()
        assert len(before) == 1
        volumes.fill(state)
        service.topic.send_users(names(6000, start=100_000))
        service.wave(2)
        ends = sum(service.topic.ends().values())

        wait_until(
            lambda: status_of(service).state == REFUSES,
            60,
            "it to say that its ledger takes nothing",
        )
        wait_until(lambda: is_idle(service), 60, "the trainer to meet the full disk")
        with closing(open_ledger(f"sqlite:///{state / 'ledger.db'}", create=False)) as ledger:
            stored = sum(ledger.intake.positions(service.topic.name).values())
        assert stored < ends
        wait_until(lambda: status_of(service).lag == ends - stored, 20, "the whole lag to be told")
        found = service.status()
        assert (found["state"], found["trouble"]) == (REFUSES, "database or disk is full")
        assert (found["lag"], found["champion"], health(service)) == (ends - stored, 1, 0)
        assert (state / "status.json").read_text().endswith("}")  # the old one is whole

        volumes.free(state)
        wait_until(lambda: len(service.ended()) >= 3 and status_of(service).lag == 0, 180, "it to go on by itself")
        assert members.look() == before  # whoever leaves and comes back is somebody else
        assert service.status()["pending"]["users"] == 0
        assert health(service) == 0
        assert service.stop() == 0
        assert [version["version"] for version in service.versions()] == [1, 2, 3]
        assert len({version["cycle_id"] for version in service.versions()}) == 3
        assert ranges_tile(service)
        assert service.status()["events"] == ends
        assert is_sound(state / "ledger.db")
        assert (len(said(service, LEDGER_REFUSES_CHANGES)), len(said(service, LEDGER_TAKES_CHANGES))) == (1, 1)
        assert "No space left on device" in said(service, TRAINER_FAILED)[0]["reason"]
        matrix_and_pairs_are_sound(service, state, tmp_path / "copy")


@pytest.mark.full
def test_a_registry_that_fills_up_fails_the_cycle_and_has_it_once_when_there_is_room(
    tmp_path: Path, state: Path, make: Make
) -> None:
    with volumes.memory(state.with_name("registry"), megabytes=8) as registry:
        volumes.fill(registry)
        state.mkdir()
        service = make(MODEL_REGISTRY__PATH=str(registry), TRAINER__ATTEMPTS="99")
        service.fill()
        service.start()
        wait_until(lambda: said(service, TRAINER_FAILED), 60, "the trainer to meet the full registry")
        assert "No space left on device" in said(service, TRAINER_FAILED)[0]["reason"]
        assert service.versions() == []
        volumes.free(registry)
        wait_until(lambda: service.ended()[-1:] and service.ended()[-1]["outcome"] == "registered", 60, "the version")
        assert service.stop() == 0
        (version,) = service.versions()
        (registered,) = LocalModelRegistry(registry, "two_tower_recommender").versions()
        assert (registered.version, registered.manifest.cycle_id) == (version["version"], version["cycle_id"])
        assert version["changed_users"] == 400
        assert not list((registry / "two_tower_recommender").glob(".incoming*"))
        assert ranges_tile(service)


@pytest.mark.full
def test_a_read_only_state_volume_refuses_the_start_and_lets_it_when_it_is_writable(state: Path, make: Make) -> None:
    with volumes.memory(state, megabytes=16):
        service = make(**NO_CYCLES)
        service.topic.send_users(names(50))
        service.start()
        wait_until(lambda: (state / "status.json").exists() and status_of(service).lag == 0, 40, "it to have read")
        assert service.stop() == 0

        volumes.mount("-o", "remount,ro", state)
        refused = service.call("run")
        assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
        assert f"cannot write the state folder {state}: Read-only file system" in refused.stderr

        volumes.mount("-o", "remount,rw", state)
        service.topic.send_users(names(50, start=50))
        service.start()
        wait_until(lambda: service.counted().events == 100, 40, "it to go on")
        assert service.stop() == 0


@pytest.mark.full
def test_a_disk_that_breaks_under_the_service_is_told_and_nothing_is_lost(
    tmp_path: Path, state: Path, make: Make
) -> None:
    service = make(**NO_CYCLES)
    service.topic.send_users(names(500))
    with volumes.disk(state, tmp_path / "image"), closing(Members(service)) as members:
        service.start()
        wait_until(lambda: (state / "status.json").exists() and status_of(service).lag == 0, 40, "it to have read")
        before = members.look()
        volumes.break_disk(state)
        service.topic.send_users(names(500, start=500))
        wait_until(
            lambda: status_of(service).state == REFUSES,
            30,
            "it to say that its ledger takes nothing",
        )
        wait_until(lambda: status_of(service).lag == 500, 20, "the whole lag to be told")
        found = service.status()
        assert (found["state"], found["lag"], found["pending"]["users"]) == (REFUSES, 500, 500)
        assert members.look() == before
        assert found["trouble"] in {"disk I/O error", "attempt to write a readonly database"}
        assert health(service) == 0
        assert service.stop() == 0
        refused = service.call("run")
        assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
        assert "Read-only file system" in refused.stderr
    with volumes.disk(state, tmp_path / "image"):
        service.start()
        wait_until(lambda: service.counted().events == 1000, 40, "it to go on")
        assert service.stop() == 0
        assert service.status()["pending"]["users"] == 1000
        assert is_sound(state / "ledger.db")


LEFT_BY_A_CRASH = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("INSERT INTO retrain_requests (kind, by, at) VALUES ('full', 'schedule', 0)")
os._exit(0)
"""


@pytest.fixture
def no_help_from_the_garbage_collector() -> Iterator[None]:
    """Whatever is closed was closed on purpose."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_help_from_the_garbage_collector")
def test_a_ledger_that_was_opened_read_only_is_opened_anew(state: Path) -> None:
    file = state / "ledger.db"
    with volumes.memory(state, megabytes=8), closing(open_ledger(f"sqlite:///{file}")) as ledger:
        ledger.engine.dispose()
        subprocess.run([sys.executable, "-c", LEFT_BY_A_CRASH, file], check=True)  # else it cannot even be read
        volumes.mount("-o", "remount,ro", state)
        for _ in range(2):
            with pytest.raises(DBAPIError, match="readonly"):
                ledger.retrain_requests.ask(CycleKind.FULL, "operator", 0.0)
        volumes.mount("-o", "remount,rw", state)
        assert ledger.retrain_requests.ask(CycleKind.FULL, "operator", 0.0) == 2
