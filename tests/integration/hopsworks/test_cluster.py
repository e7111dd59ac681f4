"""What the consumer asks a cluster, by the process that it really starts."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.cluster import ClusterTrouble, ask_cluster
from consumer.connection import connected
from consumer.errors import ConsumerError
from consumer.settings import Settings
from schemas.features import Column
from schemas.hopsworks import Hopsworks
from tests.contract.test_model_registry import staged
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks_double.clients.registries import registry_at
from tests.hopsworks_double.clients.session import cluster_of, session_of
from tests.worlds import GROUP


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HopsworksDouble]:
    found = HopsworksDouble(tmp_path_factory.mktemp("cluster"), ClusterSpec(group=GROUP))
    found.start()
    # Announced as the cluster's own Kafka; nobody has to be there for that.
    found.cluster.kafka = KafkaAccess(bootstrap_servers="127.0.0.1:9,127.0.0.2:9", security_protocol="SSL")
    yield found
    found.stop()


def settings(folder: Path, cluster: Hopsworks, **more: object) -> Settings:
    return Settings.model_validate({"state_dir": folder, "hopsworks": cluster, "feature_group": GROUP, **more})


def test_kafka_and_its_certificates_as_the_cluster_tells_them(double: HopsworksDouble, tmp_path: Path) -> None:
    found = connected(settings(tmp_path, cluster_of(double)))
    assert found.kafka.bootstrap_servers == ["127.0.0.1:9", "127.0.0.2:9"]
    assert (found.kafka.security_protocol, found.kafka.ssl_check_hostname) == ("SSL", False)
    assert found.kafka.topic == double.notification_topic
    assert (found.feature_group.id, found.feature_group.feature_store_id) == (
        double.feature_group_id,
        double.feature_store_id,
    )
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700
    for file in (found.kafka.ssl_cafile, found.kafka.ssl_certfile, found.kafka.ssl_keyfile):
        assert file is not None
        assert file.parent == tmp_path / "tls"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "-----BEGIN" in file.read_text()


def test_a_group_that_is_not_as_configured_is_refused_at_the_start(double: HopsworksDouble, tmp_path: Path) -> None:
    wider = GROUP.model_copy(update={"columns": (*GROUP.columns, Column(name="mood", length=3))})
    with pytest.raises(ConsumerError, match="column mood is missing"):
        connected(settings(tmp_path, cluster_of(double), feature_group=wider))


def test_whether_another_try_may_help_is_told(double: HopsworksDouble, tmp_path: Path) -> None:
    nobody = cluster_of(double).model_copy(update={"port": 9})
    with pytest.raises(ClusterTrouble, match="no connection") as away:
        ask_cluster(settings(tmp_path, nobody), "describe", str(tmp_path))
    assert away.value.again
    keyless = cluster_of(double).model_copy(update={"api_key_file": tmp_path / "nowhere"})
    with pytest.raises(ClusterTrouble, match="cannot read the API key from") as refused:
        ask_cluster(settings(tmp_path, keyless), "describe", str(tmp_path))
    assert not refused.value.again


def test_a_version_that_is_not_there_is_not_tagged(double: HopsworksDouble, tmp_path: Path) -> None:
    with pytest.raises(ClusterTrouble, match="has no version 1"):
        ask_cluster(settings(tmp_path, cluster_of(double)), "mirror", "1")


def test_the_manifest_of_a_version_is_told_by_the_cycle_that_made_it(double: HopsworksDouble, tmp_path: Path) -> None:
    """As `retrainer show` and `diff` ask for the settings of a version of an earlier release."""
    found = settings(tmp_path, cluster_of(double))
    assert ask_cluster(found, "manifest", "c000001-0123abcd") is None
    with session_of(double) as session:
        registry_at(session, tmp_path / "cache").register(staged(tmp_path, "c000001-0123abcd"))
    manifest = ask_cluster(found, "manifest", "c000001-0123abcd")
    assert (manifest["cycle_id"], manifest["fit"]["dropout"]) == ("c000001-0123abcd", 0.2)
