"""Setting up a cluster: from nothing, twice, for show, and where somebody else has something to lose."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient

from consumer.errors import ConsumerError
from consumer.settings import Settings
from retrainer.doctor.checks import Severity
from retrainer.doctor.examination import Examination
from retrainer.setup.run import set_up
from retrainer.setup.steps import Wishes
from tests.hopsworks_double import ClusterSpec, Fault, HopsworksDouble, KafkaAccess, Status
from tests.hopsworks_double.clients.session import cluster_of
from tests.integration.doctor.worlds import with_kafka
from tests.integration.service import RETRAINER
from tests.integration.topics import Topic
from tests.worlds import GROUP, World, names

VIEW = f"{GROUP.name}_retrainer"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, kafka_address: str) -> Iterator[HopsworksDouble]:
    # The name of the project makes those of its topics: other tests share the broker.
    spec = ClusterSpec(group=GROUP, project=f"p{uuid4().hex[:8]}", notification_topic=None)
    kafka = KafkaAccess(bootstrap_servers=kafka_address)
    with HopsworksDouble(tmp_path_factory.mktemp("cluster"), spec, kafka) as double:
        double.store.put(World().rows(names(5)))
        yield double


@pytest.fixture
def double(running: HopsworksDouble) -> Iterator[HopsworksDouble]:
    """The cluster as it was at first, but for topics that were made."""
    yield running
    running.faults.clear()
    running.cluster.notification_topic = None
    running.views._views.clear()


@pytest.fixture
def settings(double: HopsworksDouble, tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, feature_group=GROUP, hopsworks=cluster_of(double))


def done(settings: Settings, **wishes: object) -> list[str]:
    return [f"{step.made}: {step.what}" for step in set_up(settings, Wishes(**wishes))]  # type: ignore[arg-type]


def changes(double: HopsworksDouble) -> list[str]:
    """The requests that change something; a query is put, and changes nothing."""
    return [
        f"{one.method} {one.path}"
        for one in double.requests
        if one.method != "GET" and not one.path.endswith("featurestores/query")
    ]


def partitions(broker: str, topic: str) -> int:
    admin = KafkaAdminClient(bootstrap_servers=broker)
    (described,) = admin.describe_topics([topic])
    admin.close()
    return len(described["partitions"])


@pytest.mark.full
def test_from_nothing_all_is_made_once_and_the_doctor_is_content(
    double: HopsworksDouble, settings: Settings, tmp_path: Path, kafka_address: str
) -> None:
    group = {"RETRAINER_FEATURE_GROUP__COLUMNS": json.dumps([column.model_dump() for column in GROUP.columns])}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RETRAINER_")}
    environment = {**inherited, **double.environment(), **group, "RETRAINER_STATE_DIR": str(tmp_path)}
    topic = f"{double.project}_{GROUP.name}_changes"
    before = changes(double)
    plan = done(settings, dry_run=True, partitions=2)
    assert plan == [
        f"would make: topic {topic} with 2 partitions",
        f"would make: the group's notification topic {topic} (the cluster heeds that within 30 minutes)",
        f"would make: feature view {VIEW}, version 1",
    ]
    assert (changes(double), double.notification_topic, partitions(kafka_address, topic)) == (before, None, 0)

    command = [str(RETRAINER), "setup-hopsworks", "--partitions", "2"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    assert ended.stdout.splitlines() == [step.replace("would make: ", "made           ") for step in plan]
    assert (double.notification_topic, partitions(kafka_address, topic)) == (topic, 2)
    assert double.views.columns(VIEW, 1) == [GROUP.primary_key, *(column.name for column in GROUP.columns)]
    for secret in (double.api_key, double.cluster.online_password, double.pki.password):
        assert secret not in ended.stdout

    made = changes(double)
    assert done(settings) == [
        f"there already: topic {topic} with 2 partitions",
        f"there already: the group's notification topic {topic}",
        f"there already: feature view {VIEW}, version 1",
    ]
    assert changes(double) == made
    results = list(Examination(lambda: settings).results())
    assert {result.severity for result in results} == {Severity.OK}, results


def test_a_notification_topic_that_is_set_is_kept_unless_it_is_to_be_replaced(
    double: HopsworksDouble, settings: Settings, kafka_address: str
) -> None:
    theirs, ours = Topic.new(kafka_address).name, Topic.new(kafka_address).name
    double.cluster.notification_topic = theirs
    assert done(settings)[:2] == [
        f"there already: topic {theirs} with 3 partitions",
        f"there already: the group's notification topic {theirs}",
    ]
    another = with_kafka(settings, topic=ours)
    before = changes(double)
    with pytest.raises(ConsumerError, match=f"to {theirs} already, and RETRAINER_KAFKA__TOPIC is {ours}.*--replace"):
        done(another)
    assert (changes(double), double.notification_topic) == (before, theirs)
    assert f"in place of {theirs}" in done(another, replace=True)[1]
    assert double.notification_topic == ours


def test_a_project_that_says_it_made_a_topic_of_an_external_kafka_is_not_believed(
    double: HopsworksDouble, settings: Settings, kafka_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrainer.setup.topics._SEEN_WITHIN", 0.5)
    topic = f"t-{uuid4().hex[:8]}"
    body = json.dumps({"name": topic, "numOfReplicas": 1, "numOfPartitions": 3}).encode()
    double.faults.add(Fault("control", "POST .*/kafka/topics", Status(201, body=body)))
    assert done(with_kafka(settings, topic=topic))[0] == f"made: topic {topic} with 3 partitions"
    assert partitions(kafka_address, topic) == 3


def test_a_server_that_wants_a_schema_gets_one(double: HopsworksDouble, settings: Settings, kafka_address: str) -> None:
    topic = f"t-{uuid4().hex[:8]}"
    double.faults.add(Fault("control", "POST .*/kafka/topics", Status(404, 190006)))
    done(with_kafka(settings, topic=topic))
    assert any(f"/kafka/subjects/{topic}/versions" in change for change in changes(double))
    assert partitions(kafka_address, topic) == 3


def test_with_brokers_set_by_hand_the_project_is_not_asked(
    double: HopsworksDouble, settings: Settings, kafka_address: str
) -> None:
    topic, before = f"t-{uuid4().hex[:8]}", changes(double)
    done(with_kafka(settings, topic=topic, bootstrap_servers=[kafka_address]))
    assert partitions(kafka_address, topic) == 3
    assert not [change for change in changes(double)[len(before) :] if "kafka" in change]


def test_a_name_that_is_taken_is_told(double: HopsworksDouble, settings: Settings) -> None:
    double.faults.add(Fault("control", "POST .*/kafka/topics", Status(409, 190002, "Kafka topic already exists")))
    with pytest.raises(ConsumerError, match=r"the name is taken.*RETRAINER_KAFKA__TOPIC"):
        done(with_kafka(settings, topic="t-taken"))
    assert double.notification_topic is None


def test_what_the_key_may_not_is_told_and_nothing_after_it_is_done(double: HopsworksDouble, settings: Settings) -> None:
    double.faults.add(Fault("control", "PUT .*/featuregroups/", Status(403, 1, "only a data owner may"), times=None))
    with pytest.raises(ConsumerError, match=r"set the notification topic: HTTP 403.*only a data owner may"):
        done(settings)
    assert double.views.columns(VIEW, 1) is None


def test_a_group_that_is_not_as_set_is_refused(double: HopsworksDouble, settings: Settings) -> None:
    others = GROUP.model_copy(update={"columns": GROUP.columns[:1], "primary_key": "listener"})
    before = changes(double)
    with pytest.raises(ConsumerError, match="primary key is user_id, not listener"):
        done(settings.model_copy(update={"feature_group": others}))
    assert changes(double) == before


def test_of_the_ingestion_topic_nothing_has_to_be_made(double: HopsworksDouble, settings: Settings) -> None:
    assert done(with_kafka(settings, source="ingestion")) == [f"made: feature view {VIEW}, version 1"]
    assert double.notification_topic is None


def test_a_group_without_an_online_store_is_refused_and_a_bridge_gets_its_topic(
    tmp_path: Path, kafka_address: str
) -> None:
    spec = ClusterSpec(group=GROUP, project=f"p{uuid4().hex[:8]}", online=False)
    with HopsworksDouble(tmp_path / "cluster", spec, KafkaAccess(bootstrap_servers=kafka_address)) as double:
        settings = Settings(state_dir=tmp_path / "state", feature_group=GROUP, hopsworks=cluster_of(double))
        for source in ("notification", "ingestion"):
            with pytest.raises(
                ConsumerError, match=r"offline-only.*`retrainer bridge`.*RETRAINER_KAFKA__SOURCE=bridge"
            ):
                done(with_kafka(settings, source=source))
        assert changes(double) == []
        topic = f"t-{uuid4().hex[:8]}"
        assert done(with_kafka(settings, source="bridge", topic=topic)) == [f"made: topic {topic} with 3 partitions"]
        assert partitions(kafka_address, topic) == 3
