"""What the cycle of an earlier release had claimed, by the events that its version covers."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition

from consumer.deadline import Deadline
from consumer.replays.extent import Gone
from consumer.settings import Settings, load_settings
from retrainer.reproduction.claimed import claimed_by_events
from schemas.cycle import Lineage
from schemas.jobs.reproduction import Claimed
from tests.integration.topics import Topic
from tests.worlds import GROUP


@pytest.fixture
def topic(kafka_address: str) -> Topic:
    return Topic.new(kafka_address, partitions=2)


@pytest.fixture
def settings(topic: Topic, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    given = {
        "STATE_DIR": str(tmp_path),
        "KAFKA__BOOTSTRAP_SERVERS": topic.broker,
        "KAFKA__TOPIC": topic.name,
        "FEATURE_GROUP__NAME": GROUP.name,
        "FEATURE_GROUP__COLUMNS": json.dumps([column.model_dump() for column in GROUP.columns]),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"RETRAINER_{name}", value)
    return load_settings()


def test_the_users_of_the_offsets_are_claimed_live_and_replayed_ones(topic: Topic, settings: Settings) -> None:
    topic.send_users(["before", "a", "b", "a", "after", "replayed"], partition=0)
    topic.send_users(["c"], partition=1)
    lineage = Lineage(
        offsets={topic.name: {0: (1, 4), 1: (0, 1)}}, replayed={topic.name: {0: ((5, 6),)}}, changed_users=4
    )
    found = claimed_by_events(settings, lineage, Deadline(), print)
    assert found == Claimed(users=("a", "b", "c", "replayed"))


def test_events_that_are_gone_are_named(topic: Topic, settings: Settings) -> None:
    topic.send_users(["a", "b", "c"], partition=0)
    with closing(KafkaAdminClient(bootstrap_servers=topic.broker)) as admin:
        admin.delete_records({TopicPartition(topic.name, 0): 2})
    lineage = Lineage(offsets={topic.name: {0: (0, 3)}}, changed_users=3)
    with pytest.raises(Gone, match="it begins at 2 now"):
        claimed_by_events(settings, lineage, Deadline(), print)
