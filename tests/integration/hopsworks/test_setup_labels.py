"""A label group in a project: the doctor says what is missing, `setup-hopsworks` makes it, the doctor is content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from consumer.errors import ConsumerError
from consumer.settings import Settings
from retrainer.doctor.checks import Result, Severity
from retrainer.doctor.examination import Examination
from retrainer.doctor.group import GROUP as GROUP_CHECK
from retrainer.doctor.labels import LABEL_ROWS, LABEL_TOPIC, LABELS
from retrainer.setup.run import set_up
from retrainer.setup.steps import Wishes
from schemas.labels import LabelGroup, pair_text
from stores.features.local import LocalFeatureStore
from stores.labels.local import Label, LocalLabelStore
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks_double.clients.session import cluster_of
from tests.integration.doctor.worlds import with_kafka
from tests.worlds import GROUP, World, names

FOLLOWS = LabelGroup(name="follows")
VIEW = "follows_retrainer"


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory, kafka_address: str) -> Iterator[HopsworksDouble]:
    spec = ClusterSpec(
        group=GROUP,
        project=f"p{uuid4().hex[:8]}",
        notification_topic=f"t-{uuid4().hex[:8]}",
        labels=FOLLOWS,
        label_topic=None,
    )
    kafka = KafkaAccess(bootstrap_servers=kafka_address)
    with HopsworksDouble(tmp_path_factory.mktemp("cluster"), spec, kafka) as double:
        double.store.put(World().rows(names(5)))
        yield double


@pytest.fixture
def settings(double: HopsworksDouble, tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path, feature_group=GROUP, labels=FOLLOWS, hopsworks=cluster_of(double))


def done(settings: Settings, **wishes: Any) -> list[str]:
    return [f"{step.made}: {step.what}" for step in set_up(settings, Wishes(**wishes))]


def examined(settings: Settings) -> dict[str, Result]:
    return {result.name: result for result in Examination(lambda: settings).results()}


def test_from_nothing_all_is_made_once_and_the_doctor_is_content(double: HopsworksDouble, settings: Settings) -> None:
    results = examined(settings)
    assert results[LABELS].severity is Severity.FAILED
    assert "tells nobody of its changes" in results[LABELS].found
    assert "setup-hopsworks" in str(results[LABELS].todo)
    assert results[LABEL_TOPIC].found == f"needs {LABELS}"
    topic = f"{double.project}_follows_changes"
    assert done(settings, dry_run=True)[3:] == [
        f"would make: topic {topic} with 3 partitions",
        f"would make: the label group's notification topic {topic} (the cluster heeds that within 30 minutes)",
        f"would make: feature view {VIEW}, version 1",
    ]
    done(settings)
    assert double.labels.notification_topic == topic
    assert double.views.columns(VIEW, 1) == ["user_id", "other_user_id", "label", "labelled_at"]
    assert {line.split(":")[0] for line in done(settings)} == {"there already"}
    results = examined(settings)
    assert {result.severity for result in results.values()} == {Severity.OK}, results
    assert f"tells its changes to {topic}" in results[LABELS].found
    assert results[LABEL_TOPIC].found == f"{topic}, with 3 partitions"

    assert "holds no labels yet" in results[LABEL_ROWS].found
    for label, severity, said in (
        ("follow", Severity.OK, "gave 1 labels"),
        ("liked it", Severity.FAILED, "refuse every one of 1 rows: label is"),
    ):
        double.labels.store.put({pair_text(("a", "b")): {"label": label, "labelled_at": 1_767_225_600_000}})
        rows = examined(settings)[LABEL_ROWS]
        assert (rows.severity, said in rows.found) == (severity, True), rows

    another = with_kafka(settings, label_topic="another")
    assert examined(another)[LABELS].severity is Severity.WARNING
    with pytest.raises(ConsumerError, match=f"to {topic} already, and RETRAINER_KAFKA__LABEL_TOPIC is another"):
        done(another)


def test_what_differs_is_told(settings: Settings) -> None:
    for changed, said in (
        ({"weight": "strength"}, "column strength is missing"),
        ({"name": "likes"}, "no feature group likes, version 1"),
    ):
        wanted = settings.model_copy(update={"labels": FOLLOWS.model_copy(update=changed)})
        result = examined(wanted)[LABELS]
        assert (result.severity, said in result.found) == (Severity.FAILED, True)
    assert LABELS not in examined(settings.model_copy(update={"labels": None}))


def test_an_offline_only_label_group_gets_the_topic_of_its_bridge(tmp_path: Path, kafka_address: str) -> None:
    spec = ClusterSpec(
        group=GROUP,
        project=f"p{uuid4().hex[:8]}",
        notification_topic=f"t-{uuid4().hex[:8]}",
        labels=LabelGroup(name=f"l_{uuid4().hex[:8]}"),
        labels_online=False,
    )
    with HopsworksDouble(tmp_path / "cluster", spec, KafkaAccess(bootstrap_servers=kafka_address)) as double:
        double.store.put(World().rows(names(5)))
        settings = Settings(state_dir=tmp_path, feature_group=GROUP, labels=spec.labels, hopsworks=cluster_of(double))
        topic = f"{double.labels.group.name}_changes"
        assert done(settings)[3:] == [f"made: topic {topic} with 3 partitions"]
        results = examined(settings)
        assert "`retrainer bridge --labels` tells its changes" in results[LABELS].found
        assert results[LABEL_TOPIC].found == f"{topic}, with 3 partitions"


@pytest.mark.full
def test_a_local_label_group_is_looked_at_and_not_made(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, feature_group=GROUP, labels=FOLLOWS)
    path = tmp_path / "feature_store.db"
    results = examined(settings)
    assert results[GROUP_CHECK].severity is Severity.FAILED
    assert results[LABELS].found == f"needs {GROUP_CHECK}"
    assert not path.exists()
    with closing(LocalFeatureStore(path, GROUP)) as users:
        users.commit(World().rows(["a", "b"]))
    assert "has no table follows_1" in examined(settings)[LABELS].found
    with closing(LocalLabelStore(path, FOLLOWS)) as labels:
        labels.commit({("a", "b"): Label("follow", 1.0)})
    assert examined(settings)[LABELS].found.endswith("has the columns, and 1 labels")
