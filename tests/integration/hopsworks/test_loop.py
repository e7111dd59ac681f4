"""The whole loop on a Hopsworks cluster: rows written by the SDK, the service as a process, versions in its registry.

The SDK is unmodified, the broker an Apache Kafka that requires client certificates, the cluster a double. The service
is told host, project, feature group and key file; port and CA because the double is on neither the usual port nor
known to the machine; and the rest of `QUICK` so that a test does not take an hour.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from consumer.status import Status, read_status
from retrainer.demo.audience import COLUMNS, GeneratedAudience
from retrainer.demo.waves import Wave
from schemas.features import FeatureGroup
from schemas.manifest import MANIFEST_FILE
from tests.brokers.apache_kafka import ApacheKafka
from tests.brokers.oauth import TokenIssuer
from tests.brokers.security import Security
from tests.hopsworks_double import ClusterSpec, HopsworksDouble, KafkaAccess
from tests.hopsworks_double.clients.session import session_of
from tests.hopsworks_double.clients.writer import SdkWriter
from tests.integration.service import QUICK, ServiceProcess
from tests.waiting import wait_until
from tests.worlds import GROUP as SMALL
from tests.worlds import World, names

pytestmark = pytest.mark.full

GROUP = FeatureGroup(columns=COLUMNS)
PATIENCE = {name: value for name, value in QUICK.items() if not name.startswith("FEATURE_GROUP")}


@pytest.fixture
def double(kafka_can_run: None, tmp_path: Path) -> Iterator[HopsworksDouble]:
    """A cluster with a Kafka of its own behind TLS; its certificates are those that the cluster hands out."""
    cluster = HopsworksDouble(tmp_path / "cluster", ClusterSpec(group=GROUP))
    (tmp_path / "kafka").mkdir()
    issuer = TokenIssuer(tmp_path, cluster.pki.server_file)
    kafka = ApacheKafka(tmp_path / "kafka", Security(cluster.pki, issuer))
    cluster.cluster.kafka = KafkaAccess(bootstrap_servers=kafka.addresses["SSL"], security_protocol="SSL")
    try:
        kafka.start()
        with cluster:
            yield cluster
    finally:
        kafka.stop()
        issuer.close()


def test_from_insert_to_registered_version_and_on(double: HopsworksDouble, tmp_path: Path) -> None:
    listeners = GeneratedAudience(600, seed=1)
    waves = listeners.waves()
    told = {name.removeprefix("RETRAINER_"): value for name, value in double.environment().items()}
    service = ServiceProcess(tmp_path / "state", {**PATIENCE, **told})
    service.folder.mkdir()
    keys = {double.api_key}
    double.registry.tag_schemas.add("retrainer")
    with session_of(double, request_timeout=20.0) as session:
        writer = SdkWriter(session, GROUP)

        def commit(wave: Wave) -> None:
            writer.commit(wave.upserts, wave.deletes)
            online, gone = double.store.online, set(wave.deletes)
            wait_until(lambda: wave.upserts.keys() <= online.keys() and not online.keys() & gone, 30, "ingestion")

        commit(listeners.initial())
        # The offline copy lags from here on: what the service learns first it has to read online.
        double.store.auto_materialize = False
        commit(next(waves))
        try:
            service.start()
            service.wait_for_cycles(1)
            for number in range(1, 4):
                wave = next(waves)
                if number == 2:  # the key is exchanged while nothing runs, and in the middle of a cycle after this one
                    keys.add(double.rotate_api_key())
                commit(wave)
                if number == 3:
                    service.wait_for_step("fit", number)
                    keys.add(double.rotate_api_key())
                service.wait_for_cycles(number + 1)
            full = service.call("train", "--full")
            assert full.returncode == 0, full.stderr
            status, versions = service.status(), service.versions()
            doctor = service.call("doctor", "--json")
            tagged = "two_tower_recommender_5"
            wait_until(lambda: [one for one, tags in double.registry.tags.items() if tags] == [tagged], 30, "the tag")
            assert service.stop() == 0
        finally:
            service.close()
    ended = service.ended()
    assert [one["outcome"] for one in ended] == ["registered"] * 5, ended
    assert [one["version"] for one in ended] == [1, 2, 3, 4, 5]
    assert len(versions) == 5
    assert status["dead_letters"] == 0
    # Deletes included, and although the offline copy is as old as the first insert.
    assert status["known_users"] == len(double.store.online)
    registered = double.registry.models
    assert len(registered) == 5
    for model in registered.values():
        assert any(MANIFEST_FILE in path for path in double.registry.files if f"/{model['version']}/" in path)
    assert json.loads(doctor.stdout)["ok"], doctor.stdout
    _nothing_secret(double, keys, tmp_path / "state", doctor.stdout + json.dumps([status, versions]))


def _nothing_secret(double: HopsworksDouble, keys: set[str], state: Path, said: str) -> None:
    """Neither a key nor a password is in anything that was printed, logged, stored or registered."""
    secrets = {*keys, double.cluster.online_password, double.pki.client_key_pem.split("\n")[1]}
    places = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    places |= {Path(path): content for path, content in double.registry.files.items()}
    places[Path("printed")] = said.encode()
    for path, content in places.items():
        private_copy = path.parent.name == "tls"
        for secret in secrets:
            assert private_copy or secret.encode() not in content, f"{path} holds a secret"
    assert len(places) > 20


def test_a_group_without_an_online_store_by_way_of_the_bridge(kafka_address: str, tmp_path: Path) -> None:
    """Commits of the offline table, the bridge as a process, and the same service behind it; replay included."""
    group = SMALL.model_copy(update={"name": f"listeners_{uuid4().hex[:6]}"})
    spec = ClusterSpec(group=group, online=False)
    with HopsworksDouble(tmp_path / "cluster", spec, KafkaAccess(bootstrap_servers=kafka_address)) as double:
        told = {name.removeprefix("RETRAINER_"): value for name, value in double.environment().items()}
        columns = json.dumps([column.model_dump() for column in group.columns])
        settings = {**PATIENCE, **told, "FEATURE_GROUP__COLUMNS": columns, "KAFKA__SOURCE": "bridge"}
        service = ServiceProcess(tmp_path / "state", settings)
        bridge = ServiceProcess(tmp_path / "bridge", {**settings, "BRIDGE__POLL_INTERVAL": "0.3"})
        for one in (service, bridge):
            one.folder.mkdir()
        world = World()
        double.store.put(world.rows(names(400)))
        try:
            service.start()  # waits for the topic, and so for the baseline
            bridge.start("bridge")
            service.wait_for_cycles(1)
            for number in (1, 2):
                gone = names(5, start=40 * number + 35)
                double.store.put(world.rows([*names(30, start=40 * number), *names(5, start=1000 + 10 * number)]), gone)
                service.wait_for_cycles(number + 1)
            status, versions = service.status(), service.versions()
            replayed = service.call("replay", "--from", "2020-01-01", "--dry-run")
            assert service.stop() == 0
            assert bridge.stop() == 0
        finally:
            service.close()
            bridge.close()
    assert [one["outcome"] for one in service.ended()] == ["registered"] * 3, service.ended()
    assert len(versions) == 3
    assert status["known_users"] == len(double.store.offline) == 400
    assert "80 events of 80 users" in replayed.stdout, replayed.stdout + replayed.stderr


def status_in(service: ServiceProcess) -> Status:
    found = read_status(service.state_dir / "status.json")
    assert found is not None
    return found


def test_rows_on_the_ingestion_topic_are_learned_too(kafka_address: str, tmp_path: Path) -> None:
    """A topic that the whole project shares, on which events come before their rows and deletes are marked."""
    name = uuid4().hex[:6]
    group = SMALL.model_copy(update={"name": f"listeners_{name}"})
    spec = ClusterSpec(group=group, notification_topic=None, ingestion_topic=f"onlinefs_{name}")
    world = World()
    with (
        HopsworksDouble(tmp_path / "cluster", spec, KafkaAccess(bootstrap_servers=kafka_address)) as double,
        session_of(double, request_timeout=20.0) as session,
    ):
        told = {name.removeprefix("RETRAINER_"): value for name, value in double.environment().items()}
        columns = json.dumps([column.model_dump() for column in group.columns])
        settings = {**PATIENCE, **told, "FEATURE_GROUP__COLUMNS": columns, "KAFKA__SOURCE": "ingestion"}
        service = ServiceProcess(tmp_path / "state", settings)
        service.folder.mkdir()
        writer = SdkWriter(session, group)
        writer.commit(world.rows(names(400)))
        try:
            service.start()
            service.wait_for_cycles(1)
            double.ingestion.pause()  # the events are there, their rows are not
            writer.commit(world.rows([*names(30), "new"]), names(5, start=100))
            wait_until(lambda: status_in(service).cycle, 30, "a cycle that waits for the rows")
            double.ingestion.resume()
            service.wait_for_cycles(2)
            status = service.status()
            assert service.stop() == 0
        finally:
            service.close()
    last = service.ended()[-1]
    assert (last["outcome"], last["changed_users"]) == ("registered", 36)
    assert status["known_users"] == len(double.store.online) == 396
