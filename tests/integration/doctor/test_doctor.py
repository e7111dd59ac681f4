"""The doctor in a whole world and in broken ones: each breakage gives the failure of its check, and says what to do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from consumer.configuration.kafka import KafkaSettings
from consumer.settings import Settings
from retrainer.doctor.checks import Result, Severity
from retrainer.doctor.examination import Examination
from schemas.events import encode
from schemas.features import Column
from schemas.hopsworks import HopsworksStore
from tests.hopsworks_double import ClusterSpec, Fault, HopsworksDouble, KafkaAccess, Stall
from tests.hopsworks_double.clients.session import cluster_of
from tests.integration.doctor.worlds import BROKEN, Sound, with_cluster, with_group, with_kafka
from tests.integration.service import RETRAINER
from tests.integration.topics import Topic
from tests.waiting import within
from tests.worlds import GROUP, World, names

Results = dict[str, Result]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, kafka_address: str) -> Iterator[HopsworksDouble]:
    spec = ClusterSpec(group=GROUP, notification_topic=f"t-{uuid4().hex[:8]}", feature_view=True)
    kafka = KafkaAccess(bootstrap_servers=kafka_address)
    with HopsworksDouble(tmp_path_factory.mktemp("cluster"), spec, kafka) as double:
        double.store.put(World().rows(names(30)))
        topic = Topic(kafka_address, str(double.notification_topic))
        group = GROUP.model_copy(update={"id": double.feature_group_id})
        topic.send([(b"u1", encode(group, "u1"), ())])
        yield double


@pytest.fixture
def double(running: HopsworksDouble) -> Iterator[HopsworksDouble]:
    topic, variables = running.cluster.notification_topic, dict(running.control.variables)
    yield running
    running.faults.clear()
    running.set_api_key_valid(True)
    running.cluster.notification_topic = topic
    running.control.variables.clear()
    running.control.variables.update(variables)
    running.start()


@pytest.fixture
def settings(double: HopsworksDouble, tmp_path: Path) -> Settings:
    return Settings(
        state_dir=tmp_path,
        feature_group=GROUP,
        hopsworks=cluster_of(double),
        kafka=KafkaSettings(group_id=f"g-{uuid4()}"),
    )


def examined(
    double: HopsworksDouble, settings: Settings, budget: float = 55.0, *, try_writing: bool = False
) -> Results:
    examination = Examination(lambda: settings, budget, try_writing=try_writing)
    results = {result.name: result for result in examination.results()}
    no_secret_in(double, json.dumps([[one.found, one.todo] for one in results.values()]))
    for result in results.values():
        assert bool(result.todo) == (result.severity in {Severity.FAILED, Severity.WARNING}), result
        assert "unexpected" not in result.found, result
        assert "\n" not in f"{result.found}{result.todo}"
    return results


def no_secret_in(double: HopsworksDouble, text: str) -> None:
    for secret in (double.api_key, double.cluster.online_password, double.pki.password):
        assert secret not in text


def named(results: Results, severity: Severity) -> set[str]:
    return {name for name, result in results.items() if result.severity is severity}


def test_in_a_whole_world_all_is_well_and_nothing_is_left_behind(
    double: HopsworksDouble,
    settings: Settings,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    temporary = tmp_path_factory.mktemp("tmp")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert set(results := examined(double, settings)) - named(results, Severity.OK) == set()
    asked = [f"{one.method} {one.path}" for one in double.requests if one.method not in {"GET", "HEAD"}]
    assert {one.rpartition("/")[2] for one in asked} <= {"query"}  # by which the SDK has a query written, no more
    results = examined(double, settings, try_writing=True)
    assert set(results) - named(results, Severity.OK) == set()
    assert list(settings.state_dir.iterdir()) == []
    left = [path for path in temporary.rglob("*") if path.name != ".lock" and path.parent != temporary]
    assert left == []
    made = [one for one in double.requests if one.method == "POST" and "retrainer_doctor" in one.path]
    removed = [one for one in double.requests if one.method == "DELETE"]
    assert [one.path for one in made] == [one.path for one in removed]


def test_the_command_tells_it_in_lines_and_in_json(double: HopsworksDouble, tmp_path: Path) -> None:
    group = {"RETRAINER_FEATURE_GROUP__COLUMNS": json.dumps([column.model_dump() for column in GROUP.columns])}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RETRAINER_")}
    environment = {**inherited, **double.environment(), **group, "RETRAINER_STATE_DIR": str(tmp_path)}
    lines = subprocess.run([RETRAINER, "doctor"], env=environment, capture_output=True, text=True, check=False)
    assert (lines.returncode, lines.stderr) == (0, ""), lines
    assert lines.stdout.splitlines()[-1] == "22 ok"
    assert re.search(
        r"^✓ topic {14}t-\w+ can be read; it holds about 1 records?, the newest", lines.stdout, re.MULTILINE
    )
    double.set_api_key_valid(False)
    told = subprocess.run([RETRAINER, "doctor", "--json"], env=environment, capture_output=True, text=True, check=False)
    assert (told.returncode, told.stderr) == (1, ""), told
    found = json.loads(told.stdout)
    assert found["ok"] is False
    assert [check["name"] for check in found["checks"] if check["severity"] == "failed"] == ["API key"]
    no_secret_in(double, lines.stdout + told.stdout)


@pytest.mark.parametrize("world", BROKEN)
def test_what_is_broken_is_told_and_nothing_else(
    double: HopsworksDouble, settings: Settings, monkeypatch: pytest.MonkeyPatch, world: str
) -> None:
    monkeypatch.setattr("retrainer.doctor.brokers.BOOTSTRAP_MS", 500)
    broken = BROKEN[world]
    given = broken.breaking(Sound(double, settings, monkeypatch)) or settings
    results = examined(double, given, try_writing=True)
    check = broken.check
    assert named(results, Severity.FAILED) == {check}
    assert named(results, Severity.WARNING) == set()
    assert re.search(broken.found, results[check].found), results[check]
    assert re.search(broken.todo, str(results[check].todo)), results[check]
    causes = {result.found for result in results.values() if result.severity is Severity.SKIPPED}
    assert causes <= {f"needs {check}", "there is no other clock to compare with, or it tells nothing"}


def warned(double: HopsworksDouble, settings: Settings, check: str) -> Result:
    results = examined(double, settings)
    assert named(results, Severity.FAILED) == set()
    assert named(results, Severity.WARNING) == {check}
    return results[check]


def test_a_topic_that_is_set_to_another_is_warned_of(
    double: HopsworksDouble, settings: Settings, kafka_address: str
) -> None:
    other = Topic.new(kafka_address).name
    found = warned(double, with_kafka(settings, topic=other), "notification topic")
    assert str(double.notification_topic) in found.found
    assert "--replace" in str(found.todo)


def test_a_record_that_is_no_event_is_warned_of(
    double: HopsworksDouble, settings: Settings, kafka_address: str
) -> None:
    topic = Topic.new(kafka_address)
    topic.send([(None, b"not JSON", ())])
    double.cluster.notification_topic = topic.name
    found = warned(double, settings, "topic")
    assert "no event as the source 'notification'" in found.found
    assert "RETRAINER_KAFKA__SOURCE" in str(found.todo)


def test_one_partition_is_warned_of(double: HopsworksDouble, settings: Settings, kafka_address: str) -> None:
    double.cluster.notification_topic = Topic.new(kafka_address, partitions=1).name
    assert "--partitions" in str(warned(double, settings, "partitions").todo)


def test_certificates_that_are_not_checked_are_warned_of(double: HopsworksDouble, settings: Settings) -> None:
    assert "CA_FILE" in str(warned(double, with_cluster(settings, verify=False, ca_file=None), "cluster").todo)


def test_a_view_that_is_missing_is_warned_of_and_not_made(double: HopsworksDouble, settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"feature_store": HopsworksStore(feature_view="not_there")})
    results = examined(double, elsewhere)
    assert named(results, Severity.WARNING) == {"feature view"}
    assert "setup-hopsworks" in str(results["feature view"].todo)
    assert results["online read"].found == "needs feature view"
    assert double.views.columns("not_there", 1) is None


def test_where_nobody_names_a_user_it_is_told_who_does_not(
    double: HopsworksDouble, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrainer.doctor.features._READ_TIMEOUT", 0.5)
    double.query_service.stop()
    double.faults.add(Fault("mysql", "", Stall(), times=None))
    results = examined(double, settings)
    assert named(results, Severity.FAILED) == {"query service", "online read"}
    assert "nobody is known who could be read" in results["online read"].found
    assert "3306" in str(results["online read"].todo)


def test_lengths_that_rows_do_not_have_fail(double: HopsworksDouble, settings: Settings) -> None:
    columns = (Column(name=GROUP.columns[0].name, length=99), *GROUP.columns[1:])
    results = examined(double, with_group(settings, columns=columns))
    assert named(results, Severity.FAILED) == {"query service", "online read"}
    assert "refuse every one of 30 rows: taste has 8 numbers, not 99 (30)" in results["query service"].found
    assert "taste has 8 numbers, not 99" in results["online read"].found
    assert "RETRAINER_FEATURE_GROUP__COLUMNS" in str(results["online read"].todo)


def test_an_empty_group_fails(double: HopsworksDouble, settings: Settings) -> None:
    users = list(double.store.online)
    double.store.put({}, deletes=users)
    try:
        results = examined(double, settings)
        assert named(results, Severity.FAILED) == {"query service", "online read"}
        assert "the group is empty" in results["query service"].found
        double.store.put_offline(World().rows(["u1"]))
        assert "not have a user whom the offline store has" in warned(double, settings, "online read").found
    finally:
        double.store.put(World().rows(users))


def test_snapshots_that_are_read_online_need_no_query_service(double: HopsworksDouble, settings: Settings) -> None:
    double.query_service.stop()
    online = settings.model_copy(update={"feature_store": HopsworksStore(snapshot="online")})
    results = examined(double, online)
    assert named(results, Severity.FAILED) == set()
    assert "not needed" in results["query service"].found
    assert results["online read"].severity is Severity.OK


def test_a_group_without_an_online_store_needs_a_bridge(tmp_path: Path, kafka_address: str) -> None:
    spec = ClusterSpec(group=GROUP, online=False)
    with HopsworksDouble(tmp_path / "cluster", spec, KafkaAccess(bootstrap_servers=kafka_address)) as double:
        double.store.put_offline(World().rows(names(5)))
        settings = Settings(state_dir=tmp_path / "state", feature_group=GROUP, hopsworks=cluster_of(double))
        results = examined(double, settings)
        assert named(results, Severity.FAILED) == {"online store"}
        assert "retrainer bridge" in str(results["online store"].todo)
        bridged = with_kafka(settings, source="bridge", topic=Topic.new(kafka_address).name)
        results = examined(double, bridged)
        assert named(results, Severity.FAILED) | named(results, Severity.WARNING) == set()
        assert "retrainer bridge" in results["notification topic"].found
        assert results["query service"].severity is Severity.OK


def test_a_control_plane_that_stalls_is_told_in_seconds(double: HopsworksDouble, settings: Settings) -> None:
    double.faults.add(Fault("control", "", Stall(), times=None))
    with within(8):
        results = examined(double, settings)
    assert named(results, Severity.FAILED) == {"cluster"}
    assert "no answer in time" in results["cluster"].found


def test_a_query_service_that_stalls_holds_up_nothing_for_longer_than_the_budget(
    double: HopsworksDouble, settings: Settings
) -> None:
    double.faults.add(Fault("flight", "", Stall(), times=None))
    with within(6):
        results = examined(double, settings, budget=3.5)
    assert named(results, Severity.FAILED) == {"query service"}
    assert results["model registry"].severity is Severity.OK
    assert "no time was left" in results["disk"].found
