"""Bad days of a topic: recreated, grown, emptied by retention; and of the client that reads it."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import NoOffsetForPartitionError, UnknownBrokerIdError
from structlog.testing import capture_logs

from consumer.kafka import batches
from consumer.kafka.unpacking import unpacked
from consumer.ledger.ledger import Ledger
from consumer.listener import polling
from consumer.listener.state import ListenerState
from schemas.events import encode
from schemas.log_events.listener import GAP, GAP_NOT_RECORDED
from tests.integration.listening import (
    GROUP_13,
    committed,
    everything_is_read,
    gap_letters,
    has_caught_up,
    listening,
    pending,
    read,
    settings_for,
    stands_at,
)
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import names

REFUSES = ListenerState.LEDGER_REFUSES

WATCHFUL = {"metadata_max_age_ms": 1000}


def admin(topic: Topic) -> Any:
    return closing(KafkaAdminClient(bootstrap_servers=topic.broker))


def recreate(topic: Topic) -> None:
    with admin(topic) as client:
        client.delete_topics([topic.name])
        wait_until(lambda: topic.name not in client.list_topics(), 20, "the topic to be gone")
    topic.create(partitions=1)


def test_a_topic_that_is_recreated_is_read_from_its_beginning(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    topic.send_users(names(100))
    settings = settings_for(topic, tmp_path, start="latest", **WATCHFUL)
    with listening(settings, ledger.intake) as listener:
        has_caught_up(listener, 1)
        topic.send_users(names(20, start=100))
        everything_is_read(ledger, 20)
        recreate(topic)  # while it listens, and shorter
        topic.send_users(names(30, start=200))
        everything_is_read(ledger, 50)
        has_caught_up(listener, 1)
        assert listener.status.gaps == 1
    recreate(topic)  # while nobody listens, and longer
    topic.send_users(names(70, start=300))
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 120)
    (_, first), (_, second) = gap_letters(ledger)
    assert "recreated, offset 120 was next" in first
    assert "recreated, offset 30 was next" in second
    assert stands_at(ledger, topic) == {0: 70}
    assert pending(ledger) == {*names(20, start=100), *names(30, start=200), *names(70, start=300)}


def test_a_partition_that_is_added_while_it_listens_is_found_and_read_whole(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    settings = settings_for(topic, tmp_path, start="latest", **WATCHFUL)
    with listening(settings, ledger.intake) as listener:
        has_caught_up(listener, 1)
        with admin(topic) as client:
            client.create_partitions({topic.name: 3})
        wait_until(lambda: len(topic.ends()) == 3, 20, "the partitions to be there")
        for partition in range(3):
            topic.send_users(names(10, start=10 * partition), partition=partition)
        everything_is_read(ledger, 30)
        wait_until(lambda: listener.status.partitions == 3, 20, "three partitions")
    assert pending(ledger) == set(names(30))


def test_where_reading_begins_at_the_end_it_does_so_on_every_partition_that_was_there(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=2)
    for partition in range(2):
        topic.send_users(names(10), partition=partition)
    settings = settings_for(topic, tmp_path, start="latest")
    with listening(settings, ledger.intake) as first, listening(settings, ledger.intake) as second:
        has_caught_up(first, 1)
        has_caught_up(second, 1)
        topic.send_users(names(6, start=10))
        everything_is_read(ledger, 6)


def test_markers_and_aborted_records_at_the_end_are_passed_and_no_gap_when_retention_takes_them(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    producer = KafkaProducer(bootstrap_servers=kafka_address, transactional_id=f"x-{topic.name}")
    producer.init_transactions()
    for users, commits in ((names(10), True), (names(10, start=50), False)):
        producer.begin_transaction()
        for user in users:
            producer.send(topic.name, value=encode(GROUP_13, user))
        producer.flush()
        (producer.commit_transaction if commits else producer.abort_transaction)()
    producer.close()
    settings = settings_for(topic, tmp_path)
    with listening(settings, ledger.intake):
        wait_until(lambda: stands_at(ledger, topic) == {0: 22}, 40, "two transactions and their markers to be passed")
        wait_until(lambda: committed(topic, settings.kafka.group_id) == {0: 22}, 20, "the commit to follow")
    with admin(topic) as client:
        client.delete_records({TopicPartition(topic.name, 0): 22})
    topic.send_users(names(5, start=90))
    with listening(settings, ledger.intake) as listener:
        everything_is_read(ledger, 15)
        has_caught_up(listener, 1)
    assert gap_letters(ledger) == []
    assert pending(ledger) == {*names(10), *names(5, start=90)}


def expire(topic: Topic) -> None:
    """Take every record of the topic, as its retention does by itself, later."""
    with admin(topic) as client:
        client.delete_records({TopicPartition(topic.name, 0): -1})


@pytest.mark.full
def test_retention_that_overtakes_it_while_its_ledger_takes_nothing_is_on_record_with_what_was_lost(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    with listening(settings_for(topic, tmp_path), ledger.intake) as listener, capture_logs() as logs:
        topic.send_users(names(100))
        everything_is_read(ledger, 100)
        with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            topic.send_users(names(200, start=100))
            wait_until(
                lambda: listener.status.state == REFUSES,
                30,
                "it to say that its ledger takes nothing",
            )
            expire(topic)
            topic.send_users(names(50, start=300))
            # What was fetched before it expired is not lost: until then the client may still hold some.
            wait_until(lambda: GAP_NOT_RECORDED in [log["event"] for log in logs], 60, "it to meet the gap")
            assert read(ledger) == 100
            other.execute("ROLLBACK")
        everything_is_read(ledger, 150, seconds=60)
        has_caught_up(listener, 1)
        assert (listener.status.gaps, listener.status.reconnects) == (1, 0)
    ((offset, reason),) = gap_letters(ledger)
    assert (offset, "offsets 100 to 299 are gone" in reason, "retrain in full" in reason) == (100, True, True)
    (told,) = [log for log in logs if log["event"] == GAP]
    assert (told["log_level"], told["reason"]) == ("error", reason)
    (gap,) = ledger.views.open_gaps()
    assert (gap["from_offset"], gap["to_offset"]) == (100, 300)
    assert pending(ledger) == {*names(100), *names(50, start=300)}
    assert stands_at(ledger, topic) == {0: 350}


def test_compressed_batches_are_read_whatever_the_codec(
    kafka_address: str, tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    met = set[int]()

    def noted(codec: int, *arguments: Any) -> bytes:
        met.add(codec)
        return unpacked(codec, *arguments)

    monkeypatch.setattr(batches, "unpacked", noted)
    codecs = ("gzip", "snappy", "lz4", "zstd")
    topic = Topic.new(kafka_address, partitions=len(codecs))
    for partition, codec in enumerate(codecs):
        whole = {"linger_ms": 60_000, "batch_size": 2**20}  # one batch: of a small one compression gains nothing
        producer = KafkaProducer(bootstrap_servers=kafka_address, compression_type=codec, **whole)
        for user in names(100, start=100 * partition):
            producer.send(topic.name, value=encode(GROUP_13, user), partition=partition)
        producer.close()
    settings = settings_for(topic, tmp_path, max_poll_records=30)  # ends within batches
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 400)
    assert pending(ledger) == set(names(400))
    assert stands_at(ledger, topic) == dict.fromkeys(range(4), 100)
    assert met == {1, 2, 3, 4}


class Erratic(KafkaConsumer):  # type: ignore[misc]
    """Fetches records, moves behind them, and raises what a client should not, once for each of `raises`."""

    raises: list[BaseException] = []

    def poll(self, *arguments: Any, **named: Any) -> Any:
        found = super().poll(*arguments, **named)
        if found and self.raises:
            raise self.raises.pop()
        return found


@pytest.mark.full
def test_whatever_the_client_raises_another_one_goes_on_where_the_ledger_stands(
    kafka_address: str, tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.kafka.clients.KafkaConsumer", Erratic)
    monkeypatch.setattr(polling, "_LONGEST_PAUSE", 0.1)
    strange = [
        AssertionError("beside itself"),
        KeyError("t"),
        struct.error("unpack"),
        IndexError(),
        RuntimeError("dead"),
    ]
    raised = [*strange, UnknownBrokerIdError("3"), NoOffsetForPartitionError()]  # by these the client is not given up
    monkeypatch.setattr(Erratic, "raises", list(raised))
    topic = Topic.new(kafka_address)
    topic.send_users(names(100))
    with listening(settings_for(topic, tmp_path), ledger.intake) as listener:
        everything_is_read(ledger, 100)
        wait_until(lambda: listener.status.state == ListenerState.LISTENING, 20, "it to listen again")
        assert listener.status.reconnects == len(strange)
        assert Erratic.raises == []
    assert pending(ledger) == set(names(100))
