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
from consumer.kafka.records import Record
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import open_ledger
from consumer.positions import Partition
from consumer.settings import Settings
from consumer.status import ServiceState, Status, write_status
from retrainer.doctor.checks import Check, Result, Severity
from retrainer.doctor.context import CheckContext
from retrainer.doctor.control_plane import Answer
from retrainer.doctor.examination import BUDGET
from retrainer.doctor.kafka import kafka_checks
from retrainer.doctor.lookup import Lookup
from retrainer.doctor.machine import machine_checks
from retrainer.doctor.promise import promise_checks
from retrainer.doctor.ray import ray_checks
from retrainer.doctor.registry import registry_check
from retrainer.doctor.runner import Runner
from retrainer.doctor.topic import Newest
from schemas.engine import MiningEngine, RayCluster
from schemas.events import Operation

GB = 10**9


@pytest.fixture
def context(tmp_path: Path) -> Iterator[CheckContext]:
    (tmp_path / "state").mkdir()
    context = CheckContext(Settings(state_dir=tmp_path / "state"))
    yield context
    context.end()


def look(context: CheckContext, name: str) -> Result:
    checks = {
        check.name: check
        for check in [*machine_checks(context), registry_check(context), *ray_checks(context), *kafka_checks(context)]
    }
    (result,) = Runner(20.0, lambda text: text).run([Check(name, checks[name].look)])
    return result


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "severity"), [(6 * GB, "ok"), (4 * GB, "warning"), (GB // 2, "failed")])
def test_little_room_is_warned_of_and_too_little_fails(
    context: CheckContext, monkeypatch: pytest.MonkeyPatch, free: int, severity: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(100 * GB, 0, free))
    found = look(context, "disk")
    assert found.severity == severity
    assert f"{free / GB:.1f} GB free" in found.found
    assert (found.todo is None) == (severity == "ok")


def test_looking_leaves_no_trace(context: CheckContext) -> None:
    for name in ("disk", "ledger", "model registry", "service", "clock"):
        assert look(context, name).severity in {Severity.OK, Severity.SKIPPED}
    assert list(context.settings.state_dir.iterdir()) == []


def test_folders_that_cannot_be_written_fail(context: CheckContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_more: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("retrainer.doctor.folders.os.open", refused)
    for name, setting in (("disk", "RETRAINER_STATE_DIR"), ("model registry", "RETRAINER_MODEL_REGISTRY__PATH")):
        found = look(context, name)
        assert found.severity is Severity.FAILED
        assert "Permission denied" in found.found
        assert setting in str(found.todo)


def test_a_state_folder_that_is_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    context = CheckContext(Settings(state_dir=tmp_path / "file" / "state"))
    assert look(context, "disk").severity is Severity.FAILED
    assert look(context, "model registry").severity is Severity.FAILED


@pytest.mark.parametrize(
    ("ahead", "severity", "said"),
    [
        (0.4, "ok", "within 5 s of the cluster's"),
        (-20.0, "warning", "20 s ahead of the cluster's"),
        (20.0, "warning", "20 s behind the cluster's"),
        (61.0, "failed", "61 s behind the cluster's"),
        (-3600.0, "failed", "3600 s ahead of the cluster's"),
    ],
)
def test_the_clock_is_compared_with_the_clusters(context: CheckContext, ahead: float, severity: str, said: str) -> None:
    context.server = Lookup.of(Answer(200, None, ahead))
    found = look(context, "clock")
    assert (found.severity, found.found) == (severity, said)
    assert "NTP" in str(found.todo) or severity == "ok"


def newest(made_at: float) -> Lookup[Newest]:
    return Lookup.of(Newest(1, [Record(0, int(made_at * 1000), 0, None, b"", [])]))


def test_without_a_cluster_a_record_from_the_future_tells_of_a_slow_clock(context: CheckContext) -> None:
    context.newest = newest(time.time() - 1000)
    assert look(context, "clock").severity is Severity.SKIPPED
    context.newest = newest(time.time() + 100)
    found = look(context, "clock")
    assert found.severity is Severity.FAILED
    assert "behind the newest record's" in found.found


def test_a_ledger_of_another_release_fails_and_is_left_alone(context: CheckContext) -> None:
    with closing(open_ledger(context.settings.ledger.url)) as ledger:
        assert look(context, "ledger").severity is Severity.OK
        with ledger.engine.begin() as connection:
            connection.execute(update(schema_version).values(version=99))
    found = look(context, "ledger")
    assert found.severity is Severity.FAILED
    assert "schema 99" in found.found
    (context.settings.state_dir / "ledger.db").write_bytes(b"not a database, but longer than nothing" * 100)
    assert look(context, "ledger").severity is Severity.FAILED


def test_a_ledger_that_has_to_be_brought_up_to_date_is_a_warning(context: CheckContext) -> None:
    with closing(open_ledger(context.settings.ledger.url)) as ledger, ledger.engine.begin() as connection:
        connection.execute(update(schema_version).values(version=2))
    found = look(context, "ledger")
    assert found.severity is Severity.WARNING
    assert "schema 2" in found.found
    assert "retrainer run" in str(found.todo)


def test_the_service_is_told_of(context: CheckContext) -> None:
    now = time.time()
    well = Status(pid=1, state="listening", written_at=now, polled_at=now, lag=0, hold=None, cycle=None)
    cases = {
        "running: listening": (well, Severity.OK),
        "running: training": (Status(1, "training", now, now - 100, 0, None, None), Severity.WARNING),
        "did not say": (Status(1, "listening", now - 100, now - 100, 0, None, None), Severity.WARNING),
        "not running": (Status(1, ServiceState.STOPPED, now - 100, now - 100, 0, None, None), Severity.OK),
    }
    for said, (status, severity) in cases.items():
        write_status(context.settings.status_file, status)
        found = look(context, "service")
        assert (found.severity, said in found.found) == (severity, True), found


def partition(number: int, leader: int = 1, copies: int = 3, in_sync: int = 3) -> dict[str, object]:
    replicas, insync = list(range(copies)), list(range(in_sync))
    return {"partition_index": number, "leader_id": leader, "replica_nodes": replicas, "isr_nodes": insync}


@pytest.mark.parametrize(
    ("partitions", "severity", "said"),
    [
        ([partition(0), partition(1)], "ok", "2, with 3 copies of each"),
        ([partition(0)], "warning", "one instance"),
        ([partition(0), partition(1, in_sync=2)], "warning", r"partitions \[1\] are behind"),
        ([partition(0, leader=-1), partition(1)], "failed", r"partitions \[0\] have no leader"),
    ],
)
def test_partitions_that_ail_are_told(
    context: CheckContext, partitions: list[dict[str, object]], severity: str, said: str
) -> None:
    context.topic = Lookup.of({"error_code": 0, "partitions": partitions})
    found = look(context, "partitions")
    assert found.severity == severity
    assert re.search(said, found.found)


def test_a_ray_cluster_is_looked_at_only_where_it_mines(context: CheckContext) -> None:
    assert ray_checks(context) == []


def test_a_missing_ray_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.distributed.cluster.find_spec", lambda _name: None)
    context = CheckContext(Settings(state_dir=tmp_path, engine=MiningEngine.RAY))
    found = look(context, "Ray cluster")
    context.end()
    assert found.severity == Severity.FAILED
    assert "pip install 'retrainer[ray]'" in found.found


@pytest.mark.parametrize(("address", "way_out"), [("head:6379", "head:6379 is reached"), (None, "less busy")])
def test_a_ray_that_does_not_answer_is_waited_for_and_told(tmp_path: Path, address: str | None, way_out: str) -> None:
    """A Ray of its own takes half a minute to start on a busy machine: twelve seconds would call that a failure."""
    settings = Settings(state_dir=tmp_path, engine=MiningEngine.RAY, ray=RayCluster(address=address))
    context = CheckContext(settings)
    (check,) = ray_checks(context)
    context.end()
    assert 30 <= check.deadline < BUDGET - 10
    assert way_out in (check.todo or "")


def promises(context: CheckContext, **environment: str) -> list[Result]:
    slo, trigger = environment.get("slo"), environment.get("minutes")
    with pytest.MonkeyPatch.context() as patch:
        if slo is not None:
            patch.setenv("RETRAINER_SLO__FRESHNESS", slo)
        if trigger is not None:
            patch.setenv("RETRAINER_TRIGGER__TRAINING_MINUTES_A_DAY", trigger)
        promised = CheckContext(Settings(state_dir=context.settings.state_dir))
    results = list(Runner(20.0, lambda text: text).run(promise_checks(promised, needs=())))
    promised.end()
    return results


def test_a_promise_that_the_settings_break_is_warned_of_with_the_setting_to_change(context: CheckContext) -> None:
    assert promises(context) == []
    assert promises(context, slo="30m")[0].severity is Severity.OK  # no service has run here yet
    (found,) = promises(context, slo="2m")
    assert (found.severity, "cycles keep 5m apart" in found.found) == (Severity.WARNING, True)
    assert "RETRAINER_TRIGGER__MIN_INTERVAL" in str(found.todo)


def test_a_promise_that_is_broken_is_warned_of(context: CheckContext) -> None:
    with closing(open_ledger(context.settings.ledger.url)) as ledger:
        ledger.intake.start_at({Partition("t", 0): 0}, 0.0)
        (found,) = promises(context, slo="30m")
        assert (found.severity, found.found.partition(":")[0]) == (Severity.OK, "at risk")  # no service runs
        changed = Batch(received_at=time.time() - 4000)
        changed.progress[Partition("t", 0)] = (0, 1)
        changed.add("a", Operation.UPSERT, "t[0]@0", time.time() - 4000)
        ledger.intake.record(changed)
    (found,) = promises(context, slo="30m")
    assert found.severity is Severity.WARNING
    assert "the oldest change is 1h6m" in found.found or "the oldest change is 1h7m" in found.found
    assert "retrainer run" in str(found.todo)
