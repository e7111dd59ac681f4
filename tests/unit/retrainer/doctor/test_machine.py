"""The doctor's looks at this machine, and at partitions as brokers describe them."""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections import namedtuple
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import update

from consumer.database.tables import schema_version
from consumer.ledger.ledger import open_ledger
from consumer.settings import Settings
from consumer.status import ServiceState, Status, write_status
from retrainer.doctor.checks import Check, Outcome, Result
from retrainer.doctor.kafka import kafka_checks
from retrainer.doctor.machine import machine_checks
from retrainer.doctor.registry import registry_check
from retrainer.doctor.runner import Runner
from retrainer.doctor.visit import Visit

GB = 10**9


@pytest.fixture
def visit(tmp_path: Path) -> Iterator[Visit]:
    (tmp_path / "state").mkdir()
    visit = Visit(lambda: Settings(state_dir=tmp_path / "state"))
    visit.settings = visit.load()
    yield visit
    visit.end()


def look(visit: Visit, name: str) -> Result:
    checks = {check.name: check for check in [*machine_checks(visit), registry_check(visit), *kafka_checks(visit)]}
    (result,) = Runner(20.0, lambda text: text).run([Check(name, checks[name].look)])
    return result


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "outcome"), [(6 * GB, "ok"), (4 * GB, "warning"), (GB // 2, "failed")])
def test_little_room_is_warned_of_and_too_little_fails(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, free: int, outcome: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(100 * GB, 0, free))
    found = look(visit, "disk")
    assert found.outcome == outcome
    assert f"{free / GB:.1f} GB free" in found.found
    assert (found.todo is None) == (outcome == "ok")


def test_looking_leaves_no_trace(visit: Visit) -> None:
    for name in ("disk", "ledger", "model registry", "service", "clock"):
        assert look(visit, name).outcome in {Outcome.OK, Outcome.SKIPPED}
    assert list(visit.settings.state_dir.iterdir()) == []


def test_folders_that_cannot_be_written_fail(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_more: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("retrainer.doctor.folders.os.open", refused)
    for name, setting in (("disk", "RETRAINER_STATE_DIR"), ("model registry", "RETRAINER_MODEL_REGISTRY__PATH")):
        found = look(visit, name)
        assert found.outcome is Outcome.FAILED
        assert "Permission denied" in found.found
        assert setting in str(found.todo)


def test_a_state_folder_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    visit = Visit(lambda: Settings(state_dir=tmp_path / "file" / "state"))
    visit.settings = visit.load()
    assert look(visit, "disk").outcome is Outcome.FAILED
    assert look(visit, "model registry").outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("ahead", "outcome", "said"),
    [
        (0.4, "ok", "within 5 s of the cluster's"),
        (-20.0, "warning", "20 s ahead of the cluster's"),
        (20.0, "warning", "20 s behind the cluster's"),
        (61.0, "failed", "61 s behind the cluster's"),
        (-3600.0, "failed", "3600 s ahead of the cluster's"),
    ],
)
def test_the_clock_is_compared_with_the_clusters(visit: Visit, ahead: float, outcome: str, said: str) -> None:
    visit.offset = ahead
    found = look(visit, "clock")
    assert (found.outcome, found.found) == (outcome, said)
    assert "NTP" in str(found.todo) or outcome == "ok"


def test_without_a_cluster_a_record_from_the_future_tells_of_a_slow_clock(visit: Visit) -> None:
    visit.record_from = time.time() - 1000
    assert look(visit, "clock").outcome is Outcome.SKIPPED
    visit.record_from = time.time() + 100
    found = look(visit, "clock")
    assert found.outcome is Outcome.FAILED
    assert "behind the newest record's" in found.found


def test_a_ledger_of_another_release_fails_and_is_left_alone(visit: Visit) -> None:
    with closing(open_ledger(visit.settings.ledger.url)) as ledger:
        assert look(visit, "ledger").outcome is Outcome.OK
        with ledger.engine.begin() as connection:
            connection.execute(update(schema_version).values(version=99))
    found = look(visit, "ledger")
    assert found.outcome is Outcome.FAILED
    assert "schema 99" in found.found
    (visit.settings.state_dir / "ledger.db").write_bytes(b"not a database, but longer than nothing" * 100)
    assert look(visit, "ledger").outcome is Outcome.FAILED


def test_a_ledger_that_has_to_be_brought_up_to_date_is_a_warning(visit: Visit) -> None:
    with closing(open_ledger(visit.settings.ledger.url)) as ledger, ledger.engine.begin() as connection:
        connection.execute(update(schema_version).values(version=2))
    found = look(visit, "ledger")
    assert found.outcome is Outcome.WARNING
    assert "schema 2" in found.found
    assert "retrainer run" in str(found.todo)


def test_the_service_is_told_of(visit: Visit) -> None:
    now = time.time()
    well = Status(pid=1, state="listening", written_at=now, polled_at=now, lag=0, hold=None, cycle=None)
    cases = {
        "running: listening": (well, Outcome.OK),
        "running: training": (Status(1, "training", now, now - 100, 0, None, None), Outcome.WARNING),
        "did not say": (Status(1, "listening", now - 100, now - 100, 0, None, None), Outcome.WARNING),
        "not running": (Status(1, ServiceState.STOPPED, now - 100, now - 100, 0, None, None), Outcome.OK),
    }
    for said, (status, outcome) in cases.items():
        write_status(visit.settings.status_file, status)
        found = look(visit, "service")
        assert (found.outcome, said in found.found) == (outcome, True), found


def partition(number: int, leader: int = 1, copies: int = 3, in_sync: int = 3) -> dict[str, object]:
    replicas, insync = list(range(copies)), list(range(in_sync))
    return {"partition_index": number, "leader_id": leader, "replica_nodes": replicas, "isr_nodes": insync}


@pytest.mark.parametrize(
    ("partitions", "outcome", "said"),
    [
        ([partition(0), partition(1)], "ok", "2, with 3 copies of each"),
        ([partition(0)], "warning", "one instance"),
        ([partition(0), partition(1, in_sync=2)], "warning", r"partitions \[1\] are behind"),
        ([partition(0, leader=-1), partition(1)], "failed", r"partitions \[0\] have no leader"),
    ],
)
def test_partitions_that_ail_are_told(
    visit: Visit, partitions: list[dict[str, object]], outcome: str, said: str
) -> None:
    visit.kafka, visit.described = visit.settings.kafka, partitions
    found = look(visit, "partitions")
    assert found.outcome == outcome
    assert re.search(said, found.found)
