"""The doctor's looks at Kafka: a local configuration, brokers that do not permit, and a group that is at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from consumer.configuration.kafka import KafkaSettings
from consumer.settings import Settings
from retrainer.doctor.checks import Result, Severity
from retrainer.doctor.examination import Examination
from retrainer.doctor.kafka import _patiently
from schemas.events import encode
from stores.features.local import LocalFeatureStore
from tests.brokers.apache_kafka import ApacheKafka
from tests.brokers.oauth import TokenIssuer
from tests.brokers.security import Security
from tests.integration.topics import Topic
from tests.tls.certificates import Pki
from tests.waiting import wait_until
from tests.wire import ZSTD, bomb, produce
from tests.worlds import GROUP, World, names

Results = dict[str, Result]


def settings_for(topic: Topic, folder: Path, **kafka: object) -> Settings:
    """Of a service whose feature store is well."""
    if not (path := folder / "feature_store.db").exists():
        with closing(LocalFeatureStore(path, GROUP)) as store:
            store.commit(World().rows(names(3)))
    given = {"bootstrap_servers": [topic.broker], "topic": topic.name, "group_id": f"g-{topic.name}", **kafka}
    return Settings(state_dir=folder, feature_group=GROUP, kafka=KafkaSettings.model_validate(given))


def examined(settings: Settings) -> Results:
    return {result.name: result for result in Examination(lambda: settings).results()}


def named(results: Results, severity: Severity) -> set[str]:
    return {name for name, result in results.items() if result.severity is severity}


def test_a_local_configuration_needs_kafka_alone(broker: str, tmp_path: Path) -> None:
    topic = Topic.new(broker)
    store = LocalFeatureStore(tmp_path / "feature_store.db", GROUP)
    store.commit(World().rows(names(7)))
    topic.relay(store)
    store.close()
    results = examined(settings_for(topic, tmp_path))
    assert named(results, Severity.FAILED) | named(results, Severity.WARNING) == set()
    assert "7 users" in results["feature group"].found
    assert results["topic"].found.startswith(f"{topic.name} can be read; it holds about")
    assert results["partitions"].found == "3, with 1 copy of each"


def test_a_topic_that_is_not_there_is_told(broker: str, tmp_path: Path) -> None:
    results = examined(settings_for(Topic(broker, "t-nowhere"), tmp_path))
    assert named(results, Severity.FAILED) == {"topic"}
    assert results["topic"].found == "there is no topic t-nowhere"
    assert "RETRAINER_KAFKA__TOPIC" in str(results["topic"].todo)


def test_a_topic_that_holds_nothing_can_be_read(kafka_address: str, tmp_path: Path) -> None:
    results = examined(settings_for(Topic.new(kafka_address), tmp_path))
    assert results["topic"].found.endswith("it holds nothing yet")
    assert results["topic"].severity is Severity.OK


def test_a_newest_record_that_unpacks_to_too_much_is_told(kafka_address: str, tmp_path: Path) -> None:
    topic = Topic.new(kafka_address, partitions=1, retention_ms="-1")
    assert produce(kafka_address, topic.name, bomb(ZSTD, 70))[0] == 0
    told = examined(settings_for(topic, tmp_path))["topic"]
    assert told.severity is Severity.WARNING
    assert "its newest record not: unpacked, it is more than the 67,108,864 bytes" in told.found


def test_nobody_in_the_group_notices_the_look(kafka_address: str, tmp_path: Path) -> None:
    topic = Topic.new(kafka_address)
    settings = settings_for(topic, tmp_path)
    consumer = KafkaConsumer(
        bootstrap_servers=kafka_address,
        group_id=settings.kafka.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    with closing(consumer):
        wait_until(lambda: consumer.partitions_for_topic(topic.name), 20, "the topic to be there")
        consumer.subscribe([topic.name])
        seen: list[int] = []

        def has_settled() -> bool:
            consumer.poll(timeout_ms=100)
            seen.append(consumer.group_metadata().generation_id)
            return len(consumer.assignment()) == 3 and len(seen) > 9 and len(set(seen[-9:])) == 1

        wait_until(has_settled, 20, "the consumer to have joined")
        before = consumer.group_metadata()
        results = examined(settings)
        assert "is no instance of this ledger" in results["consumer group"].found  # it reads our topic in our group
        for _ in range(5):
            consumer.poll(timeout_ms=100)
        assert consumer.group_metadata() == before
        assert len(consumer.assignment()) == 3


def on_the_brokers(address: str) -> dict[str, object]:
    """Topics with their partitions, groups, and what these have committed."""
    with (
        closing(KafkaAdminClient(bootstrap_servers=address)) as client,
        closing(KafkaConsumer(bootstrap_servers=address)) as consumer,
    ):
        topics = {name: sorted(consumer.partitions_for_topic(name) or ()) for name in sorted(client.list_topics())}
        groups = sorted(str(group) for group in client.list_groups())
        everything = [TopicPartition(name, number) for name, numbers in topics.items() for number in numbers]
        ends = consumer.end_offsets([one for one in everything if not one.topic.startswith("__")])
        committed = {str(group): str(client.list_group_offsets(_name_of(group))) for group in client.list_groups()}
    topics = {name: numbers for name, numbers in topics.items() if not name.startswith("__")}
    return {"topics": topics, "groups": groups, "ends": ends, "committed": committed}


def _name_of(group: object) -> str:
    return str(group["group_id"] if isinstance(group, dict) else group[0] if isinstance(group, tuple) else group)


@pytest.mark.parametrize("there", [True, False])
def test_the_brokers_are_as_they_were(kafka_address: str, tmp_path: Path, there: bool) -> None:
    topic = Topic.new(kafka_address)
    topic.send_users(["u1", "u2"])
    settings = settings_for(topic if there else Topic(kafka_address, f"{topic.name}-misspelt"), tmp_path)
    with closing(KafkaAdminClient(bootstrap_servers=kafka_address)) as client:
        place = TopicPartition(topic.name, 0)
        committed = {place: OffsetAndMetadata(1, "", -1)}
        _patiently(lambda: client.alter_group_offsets(settings.kafka.group_id, committed))
    before = on_the_brokers(kafka_address)
    assert examined(settings)["topic"].severity is (Severity.OK if there else Severity.FAILED)
    assert on_the_brokers(kafka_address) == before


@dataclass(frozen=True)
class Guarded(Security):
    """Everything is permitted that nobody has denied."""

    @property
    def protocols(self) -> dict[str, str]:
        return {}

    @property
    def advertised(self) -> dict[str, str]:
        return {}

    @property
    def jvm(self) -> list[str]:
        return []

    @property
    def format(self) -> list[str]:
        return []

    def properties(self, folder: Path) -> list[str]:  # noqa: ARG002
        authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        return [f"authorizer.class.name={authorizer}", "allow.everyone.if.no.acl.found=true"]


@pytest.fixture(scope="module")
def guarded(kafka_can_run: None) -> Iterator[str]:
    """A broker that denies a topic, and a group."""
    with TemporaryDirectory(prefix="kafka-") as folder:
        broker = ApacheKafka(Path(folder), Guarded(cast("Pki", None), cast("TokenIssuer", None)))
        try:
            broker.start()
            for name in ("open", "shut", "seen"):
                Topic(broker.address, name).create()
            with closing(KafkaAdminClient(bootstrap_servers=broker.address)) as admin:
                # Brokers say who may join a group once it has been used.
                wait_until(lambda: used(admin, "seen"), 20, "the brokers to know of groups")
                for kind in (ResourceType.GROUP, ResourceType.TOPIC):
                    admin.create_acls([rule("shut", kind, ACLOperation.READ, ACLPermissionType.DENY)])
                    admin.create_acls([rule("seen", kind, ACLOperation.DESCRIBE, ACLPermissionType.ALLOW)])
                wait_until(lambda: in_force(admin), 20, "the rules to be in force")
            yield broker.address
        finally:
            broker.kill()


def in_force(admin: KafkaAdminClient) -> bool:
    """Whether the broker has heard of the rules, of which groups' that of `seen` came last."""
    permitted = [admin.describe_groups(["seen"])["seen"], *admin.describe_topics(["seen"])]
    return all(one["authorized_operations"] == ["DESCRIBE"] for one in permitted)


def used(admin: KafkaAdminClient, group: str) -> bool:
    """Commit an offset; whether that has worked, as a broker that just started may take it for another's business."""
    try:
        admin.alter_group_offsets(group, {TopicPartition("open", 0): OffsetAndMetadata(0, "", -1)})
        return bool(admin.list_group_offsets(group)[group])
    except KafkaError:
        return False


def rule(name: str, kind: ResourceType, operation: ACLOperation, effect: ACLPermissionType) -> ACL:
    return ACL("User:ANONYMOUS", "*", operation, effect, ResourcePattern(kind, name))


@pytest.mark.parametrize(("topic", "found"), [("shut", "is not there, or"), ("seen", "reading topic seen")])
def test_a_topic_that_is_not_permitted_is_told(guarded: str, tmp_path: Path, topic: str, found: str) -> None:
    results = examined(settings_for(Topic(guarded, topic), tmp_path, group_id="open"))
    assert named(results, Severity.FAILED) == {"topic"}
    assert found in results["topic"].found
    assert "not permitted" in results["topic"].found
    assert "ACL" in str(results["topic"].todo)


@pytest.mark.parametrize("group", ["shut", "seen"])
def test_a_group_that_is_not_permitted_is_told(guarded: str, tmp_path: Path, group: str) -> None:
    results = examined(settings_for(Topic(guarded, "open"), tmp_path, group_id=group))
    assert named(results, Severity.FAILED) == {"consumer group"}
    assert f"--operation Read --group {group}" in str(results["consumer group"].todo)


def test_the_newest_records_are_a_sample_and_big_ones_are_looked_at_singly(
    kafka_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = Topic.new(kafka_address)
    theirs = GROUP.model_copy(update={"name": "songs", "id": 14})
    for partition in range(3):
        topic.send([(None, encode(theirs, f"u{number}"), ()) for number in range(300)], partition)
    settings = settings_for(topic, tmp_path)
    told = examined(settings)["topic"]
    assert told.severity is Severity.WARNING
    assert "none of the last 900 events is of ours, feature group (listeners, version 1)" in told.found
    assert "they are 900 of feature group 14 (songs, version 1)" in told.found
    monkeypatch.setattr("retrainer.doctor.topic._MOST_BYTES", 100)
    assert "none of the last 3 events is of ours" in examined(settings)["topic"].found
    topic.send_users(["u1"])
    monkeypatch.undo()
    assert examined(settings)["topic"].severity is Severity.OK
