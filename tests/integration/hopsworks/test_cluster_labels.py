"""What the cluster says of a label group, by the process that the consumer really asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.cluster import ClusterTrouble, ask_cluster
from consumer.settings import Settings
from schemas.hopsworks import GroupFacts
from schemas.labels import LabelGroup
from tests.hopsworks_double import ClusterSpec, HopsworksDouble
from tests.hopsworks_double.clients.session import cluster_of
from tests.worlds import GROUP

LABELS = LabelGroup(name="follows")


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HopsworksDouble]:
    with HopsworksDouble(tmp_path_factory.mktemp("cluster"), ClusterSpec(group=GROUP, labels=LABELS)) as double:
        yield double


def described(folder: Path, double: HopsworksDouble, labels: LabelGroup | None) -> GroupFacts:
    given = {"state_dir": folder, "hopsworks": cluster_of(double), "feature_group": GROUP, "labels": labels}
    return GroupFacts.model_validate(ask_cluster(Settings.model_validate(given), "describe", str(folder)))


def test_both_groups_are_told_with_their_topics(double: HopsworksDouble, tmp_path: Path) -> None:
    facts = described(tmp_path, double, LABELS)
    assert facts.labels is not None
    assert (facts.feature_group_id, facts.labels.feature_group_id) == (double.feature_group_id, double.labels.id)
    assert facts.labels.feature_store_id == facts.feature_store_id
    assert (facts.notification_topic, facts.labels.notification_topic) == (
        double.notification_topic,
        double.labels.notification_topic,
    )
    assert facts.ingestion_topic == facts.labels.ingestion_topic is not None
    assert (facts.kafka is None, facts.labels.kafka) == (False, None)


@pytest.mark.full
def test_a_label_group_that_is_not_as_configured_is_refused_at_the_start(
    double: HopsworksDouble, tmp_path: Path
) -> None:
    for changed, said in (
        ({"name": "likes"}, r"no feature group likes, version 1: .*RETRAINER_LABELS__NAME and __VERSION name it"),
        ({"weight": "strength"}, r"follows, version 1, .*RETRAINER_LABELS__….*column strength is missing"),
        ({"other_key": "friend"}, r"its primary key is user_id, other_user_id, not user_id, friend"),
        ({"label": "labelled_at", "labelled_at": "label"}, r"label is string, not a timestamp, date or integer"),
    ):
        with pytest.raises(ClusterTrouble, match=said):
            described(tmp_path, double, LABELS.model_copy(update=changed))
