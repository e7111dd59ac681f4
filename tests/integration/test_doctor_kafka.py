"""The doctor's looks at Kafka: a local configuration, brokers that do not permit, and a group that is at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

from consumer.doctor.checks import Outcome, Result
from consumer.doctor.run import Examination
from consumer.kafka_settings import KafkaSettings
from consumer.settings import Settings
from tests.brokers.apache_kafka import ApacheKafka
from tests.brokers.oauth import TokenIssuer
from tests.brokers.security import Security
from tests.hopsworks.certificates import Pki
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import GROUP, World, names
from trainer.features.local import LocalFeatureStore

Results = dict[str, Result]


def settings_for(topic: Topic, folder: Path, **kafka: object) -> Settings:
    given = {"bootstrap_servers": [topic.broker], "topic": topic.name, "group_id": f"g-{topic.name}", **kafka}
    return Settings(state_dir=folder, feature_group=GROUP, kafka=KafkaSettings.model_validate(given))


def examined(settings: Settings) -> Results:
    return {result.name: result for result in Examination(lambda: settings).results()}


def named(results: Results, outcome: Outcome) -> set[str]:
    return {name for name, result in results.items() if result.outcome is outcome}


def test_a_local_configuration_needs_kafka_alone(broker: str, tmp_path: Path) -> None:
    topic = Topic.new(broker)
    store = LocalFeatureStore(tmp_path / "feature_store.db", GROUP)
    store.commit(World().rows(names(7)))
    topic.relay(store)
    store.close()
    results = examined(settings_for(topic, tmp_path))
    assert named(results, Outcome.FAILED) | named(results, Outcome.WARNING) == set()
    assert "7 users" in results["feature group"].found
    assert results["topic"].found.startswith(f"{topic.name} can be read; it holds about")
    assert results["partitions"].found == "3, with 1 copy of each"


def test_a_topic_that_is_not_there_is_told(broker: str, tmp_path: Path) -> None:
    results = examined(settings_for(Topic(broker, "t-nowhere"), tmp_path))
    assert named(results, Outcome.FAILED) == {"topic"}
    assert results["topic"].found == "there is no topic t-nowhere"
    assert "RETRAINER_KAFKA__TOPIC" in str(results["topic"].todo)


def test_a_topic_that_holds_nothing_can_be_read(kafka_address: str, tmp_path: Path) -> None:
    results = examined(settings_for(Topic.new(kafka_address), tmp_path))
    assert results["topic"].found.endswith("it holds nothing yet")
    assert results["topic"].outcome is Outcome.OK


def test_nobody_in_the_group_notices_the_look(kafka_address: str, tmp_path: Path) -> None:
    topic = Topic.new(kafka_address)
    topic.send_users(["u1"])
    settings = settings_for(topic, tmp_path)
    consumer = KafkaConsumer(
        topic.name,
        bootstrap_servers=kafka_address,
        group_id=settings.kafka.group_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    with closing(consumer):
        wait_until(lambda: consumer.poll(timeout_ms=200) or consumer.assignment(), 20, "the consumer to join")
        before = consumer.group_metadata()
        results = examined(settings)
        assert results["consumer group"].found.endswith("1 reading now")
        for _ in range(5):
            consumer.poll(timeout_ms=100)
        assert consumer.group_metadata() == before
        assert len(consumer.assignment()) == 3


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
            for name in ("open", "shut"):
                Topic(broker.address, name).create()
            with closing(KafkaAdminClient(bootstrap_servers=broker.address)) as admin:
                for kind, name in ((ResourceType.GROUP, "shut"), (ResourceType.TOPIC, "shut")):
                    admin.create_acls([denied(ResourcePattern(kind, name))])
            yield broker.address
        finally:
            broker.stop()


def denied(what: ResourcePattern) -> ACL:
    return ACL("User:ANONYMOUS", "*", ACLOperation.READ, ACLPermissionType.DENY, what)


def test_a_topic_that_is_not_permitted_is_told(guarded: str, tmp_path: Path) -> None:
    results = examined(settings_for(Topic(guarded, "shut"), tmp_path))
    assert named(results, Outcome.FAILED) == {"topic"}
    assert "not permitted" in results["topic"].found
    assert "ACL" in str(results["topic"].todo)


def test_a_group_that_is_not_permitted_is_told(guarded: str, tmp_path: Path) -> None:
    results = examined(settings_for(Topic(guarded, "open"), tmp_path, group_id="shut"))
    assert named(results, Outcome.FAILED) == {"consumer group"}
    assert "--operation Read --group shut" in str(results["consumer group"].todo)
