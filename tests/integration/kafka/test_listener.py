"""P1 and P6 on real brokers: everything that was sent is in the ledger once, whatever it was and whatever happened."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from sqlalchemy.exc import OperationalError

from consumer.dead_letters.store import Which
from consumer.ledger.batch import Batch
from consumer.ledger.intake import Intake
from consumer.ledger.ledger import Ledger
from consumer.listener.state import ListenerState
from schemas.cycle import CycleKind
from schemas.events import encode
from tests.brokers.apache_kafka import ApacheKafka
from tests.integration.listening import (
    GROUP_13,
    committed,
    everything_is_read,
    has_caught_up,
    listening,
    read,
    settings_for,
    stands_at,
)
from tests.integration.topics import Topic
from tests.leading import leading
from tests.waiting import wait_until
from tests.worlds import names


def test_every_event_is_stored_once_and_counted(broker: str, tmp_path: Path, ledger: Ledger) -> None:
    topic = Topic.new(broker)
    topic.send_users([*names(500), *names(200)])
    with listening(settings_for(topic, tmp_path), ledger.intake) as listener:
        everything_is_read(ledger, 700)
        has_caught_up(listener, 3)
        topic.send_users(names(50, start=500))
        everything_is_read(ledger, 750)
        wait_until(
            lambda: (listener.status.lag, listener.status.events) == (0, 750), 20, "all to be counted, and no lag"
        )
    assert ledger.views.backlog().users == 550
    found = {partition.number: offset for partition, offset in ledger.intake.positions(topic.name).items()}
    assert found == topic.ends()


HOSTILE: dict[str, tuple[bytes | None, bytes | None]] = {
    "not JSON": (b"k", b"\xde\xad\xbe\xef"),
    "empty": (None, b""),
    "another shape": (None, b'["u1"]'),
    "missing key": (None, b'{"featureGroupId": 13, "entry": {"id": "u1"}}'),
    "null value without key": (b"", None),
    "too long a key": (None, json.dumps({"entry": {"user_id": "x" * 5000}}).encode()),
    "deep": (None, b"[" * 50_000),
}
UNDERSTOOD: dict[str, tuple[bytes | None, bytes | None]] = {
    "1 MB of entry": (None, json.dumps({"entry": {"user_id": "big", "blob": "x" * 1_000_000}}).encode()),
    "unknown fields": (None, b'{"entry": {"user_id": "odd"}, "more": {"a": [1]}}'),
    "string numbers": (None, b'{"featureGroupId": "13", "entry": {"user_id": 6}}'),
    "null value": (b"gone", None),
}


def test_bad_input_is_a_dead_letter_with_its_reason_and_stops_nothing(
    broker: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(broker, partitions=1)
    records = [(key, value, ()) for key, value in (*HOSTILE.values(), *UNDERSTOOD.values())]
    records.insert(3, (None, b'{"featureGroupId": 14, "entry": {}}', ()))
    topic.send([(b"u0", encode(GROUP_13, "u0"), ()), *records, (b"u9", encode(GROUP_13, "u9"), ())])
    with listening(settings_for(topic, tmp_path), ledger.intake):
        everything_is_read(ledger, len(records) + 2)
    counts = ledger.views.read()
    letters = ledger.letters.find(Which(), 100)
    assert (counts.dead_letters, counts.ignored) == (len(HOSTILE), 1)
    assert counts.ignored_because == {"another feature group": 1}
    assert all(letter.reason and letter.stage == "decode" for letter in letters)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "to see who is pending", 0.0, fence=leading(ledger).fence)
    assert set(claim.users) == {"u0", "u9", "big", "odd", "6", "gone"}
    oldest = ledger.letters.get(letters[-1].id)
    assert oldest is not None
    assert oldest.letter.value == b"\xde\xad\xbe\xef"


class Malformed(str):
    """A header name that is not UTF-8 on the wire."""

    __slots__ = ()

    def encode(self, *_arguments: object, **_named: object) -> bytes:
        return b"\xff\xfe"


def test_a_header_name_that_is_not_utf_8_spoils_no_change(broker: str, tmp_path: Path, ledger: Ledger) -> None:
    topic = Topic.new(broker, partitions=2)
    odd = ((Malformed("x"), b"1"),)
    topic.send([(None, encode(GROUP_13, "a"), ()), (None, encode(GROUP_13, "b"), odd)], partition=0)
    topic.send([(b"k", b"no event", odd), (None, encode(GROUP_13, "c"), ())], partition=0)
    topic.send_users(["z"], partition=1)
    with listening(settings_for(topic, tmp_path), ledger.intake) as listener:
        everything_is_read(ledger, 5)
        has_caught_up(listener, 2)
    assert ledger.views.backlog().users == 4
    (entry,) = ledger.letters.find(Which(), 10)
    assert (entry.stage, entry.position.offset) == ("decode", 2)
    stored = ledger.letters.get(entry.id)
    assert stored is not None
    ((name, value),) = stored.letter.headers
    assert (name.encode("utf-8", "surrogateescape"), value) == (b"\xff\xfe", b"1")


def test_a_partition_that_is_added_is_read_from_its_beginning(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    settings = settings_for(topic, tmp_path, start="latest")
    with listening(settings, ledger.intake) as listener:
        has_caught_up(listener, 1)
    admin = KafkaAdminClient(bootstrap_servers=kafka_address)
    admin.create_partitions({topic.name: 2})
    admin.close()
    wait_until(lambda: len(topic.ends()) == 2, 20, "the partition to be there")
    topic.send_users(names(10), partition=1)
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 10)


@pytest.mark.full
def test_reading_goes_on_where_the_ledger_stands_whatever_kafka_says(
    broker: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(broker)
    topic.send_users(names(300))
    settings = settings_for(topic, tmp_path)
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 300)
    for misleading in (0, 10_000):
        _commit(topic, settings.kafka.group_id, misleading)
        topic.send_users(names(30))
        before = read(ledger)
        with listening(settings, ledger.intake):
            everything_is_read(ledger, before + 30)


def _commit(topic: Topic, group: str, offset: int) -> None:
    consumer = KafkaConsumer(bootstrap_servers=topic.broker, group_id=group, enable_auto_commit=False)
    partitions = [TopicPartition(topic.name, number) for number in range(3)]
    consumer.assign(partitions)
    consumer.commit({partition: OffsetAndMetadata(offset, "", -1) for partition in partitions})
    consumer.close(autocommit=False)


def test_kafka_s_committed_offsets_follow_the_ledger(broker: str, tmp_path: Path, ledger: Ledger) -> None:
    topic = Topic.new(broker)
    topic.send_users(names(100))
    settings = settings_for(topic, tmp_path)
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 100)
    assert committed(topic, settings.kafka.group_id) == stands_at(ledger, topic)


def test_a_listener_that_stops_leaves_kafka_where_the_ledger_stands(
    broker: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(broker)
    topic.send_users(names(30))
    settings = settings_for(topic, tmp_path, commit_interval=3600.0)
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 30)
    assert sum(committed(topic, settings.kafka.group_id).values()) == 30


def test_latest_skips_the_past_but_nothing_after_the_start(kafka_address: str, tmp_path: Path, ledger: Ledger) -> None:
    topic = Topic.new(kafka_address)  # Tansu does not tell rightly where a topic ends
    topic.send_users(names(100))
    settings = settings_for(topic, tmp_path, start="latest")
    with listening(settings, ledger.intake) as listener:
        has_caught_up(listener, 3)
    topic.send_users(names(20, start=100))
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 20)


class Moody(Intake):
    """An intake that refuses at first, as a full disk or a held lock would make it."""

    def __init__(self, intake: Intake, refusals: int) -> None:
        super().__init__(intake._engine)
        self.refusals = refusals

    def record(self, batch: Batch) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OperationalError("INSERT", {}, Exception("disk is full"))
        super().record(batch)


def test_a_ledger_that_refuses_loses_nothing_and_the_group_is_not_left(
    broker: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(broker)
    topic.send_users(names(400))
    moody = Moody(ledger.intake, refusals=3)
    # Polling has to go on through the trouble, or the client leaves the group after two seconds.
    settings = settings_for(topic, tmp_path, max_poll_records=50, max_poll_interval_ms=2000)
    with listening(settings, moody) as listener:
        everything_is_read(ledger, 400)
        assert moody.refusals == 0
        wait_until(lambda: listener.status.state == ListenerState.LISTENING, 10, "the listener to listen")
    assert ledger.views.backlog().users == 400


@pytest.mark.full
def test_two_listeners_share_a_topic_through_rebalances_and_store_everything_once(
    broker: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(broker)
    settings = settings_for(topic, tmp_path, max_poll_records=20)
    with listening(settings, ledger.intake) as first:
        wait_until(lambda: first.status.partitions == 3, 40, "the first to have all partitions")
        topic.send_users(names(300))
        with listening(settings, ledger.intake) as second:
            topic.send_users(names(300, start=300))
            wait_until(lambda: 0 < first.status.partitions < 3, 40, "the first to share its partitions")
            wait_until(lambda: second.status.partitions > 0, 40, "the second to have a partition")
            topic.send_users(names(300, start=600))
            everything_is_read(ledger, 900)
        wait_until(lambda: first.status.partitions == 3, 40, "the first to have all partitions again")
        topic.send_users(names(100, start=900))
        everything_is_read(ledger, 1000)
    assert ledger.views.backlog().users == 1000


def test_a_gap_that_retention_made_is_on_record(kafka_address: str, tmp_path: Path, ledger: Ledger) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    settings = settings_for(topic, tmp_path)
    topic.send_users(names(100))
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 100)
    topic.send_users(names(200, start=100))
    admin = KafkaAdminClient(bootstrap_servers=kafka_address)
    admin.delete_records({TopicPartition(topic.name, 0): 250})
    admin.close()
    with listening(settings, ledger.intake):
        everything_is_read(ledger, 150)
    (letter,) = ledger.letters.find(Which(), 10)
    assert (letter.stage, letter.position.offset) == ("gap", 100)
    assert "begins at 250" in letter.reason


@pytest.mark.full
def test_it_waits_for_a_broker_and_for_a_topic(kafka_can_run: None, tmp_path: Path, ledger: Ledger) -> None:
    (tmp_path / "kafka").mkdir()
    broker = ApacheKafka(tmp_path / "kafka")
    topic = Topic(broker.address, "late")
    try:
        with listening(settings_for(topic, tmp_path), ledger.intake) as listener:
            wait_until(lambda: listener.status.state == ListenerState.WAITING_FOR_BROKER, 30, "it to say that it waits")
            broker.start()
            topic.create()
            topic.send_users(names(10))
            everything_is_read(ledger, 10)
            wait_until(lambda: listener.status.lag == 0, 30, "it to know how far the topic goes")
            broker.stop()
            wait_until(
                lambda: listener.status.state == ListenerState.BROKER_AWAY, 60, "it to notice that the broker is gone"
            )
            wait_until(lambda: listener.status.lag is None, 30, "it to say that it knows no lag")
            assert listener.status.last_lag == 0
            assert listener.status.lag_at is not None
            broker.start()
            topic.send_users(names(10, start=10))
            everything_is_read(ledger, 20)
            wait_until(lambda: listener.status.lag == 0, 60, "it to know again how far the topic goes")
            wait_until(lambda: listener.status.state == ListenerState.LISTENING, 30, "it to listen again")
    finally:
        broker.stop()


def test_aborted_records_are_not_read_and_markers_do_not_look_like_lag(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    producer = KafkaProducer(bootstrap_servers=kafka_address, transactional_id=f"x-{topic.name}")
    producer.init_transactions()
    for users, kept in ((names(10), True), (names(10, start=50), False), (names(5, start=90), True)):
        producer.begin_transaction()
        for user in users:
            producer.send(topic.name, value=encode(GROUP_13, user))
        producer.flush()
        (producer.commit_transaction if kept else producer.abort_transaction)()
    producer.close()
    with listening(settings_for(topic, tmp_path), ledger.intake) as listener:
        everything_is_read(ledger, 15)
        has_caught_up(listener, 1)
    claim = ledger.cycles.claim(CycleKind.BOOTSTRAP, "look", 0.0, fence=leading(ledger).fence)
    assert claim.users == tuple(sorted(names(10) + names(5, start=90)))


def test_that_nothing_is_ours_and_times_are_in_seconds_is_noticed(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, retention_ms="-1")  # the broker would delete records of 1970
    settings = settings_for(topic, tmp_path)
    theirs = GROUP_13.model_copy(update={"id": 14})
    with closing(KafkaProducer(bootstrap_servers=kafka_address)) as producer:
        for number in range(120):
            producer.send(topic.name, value=encode(theirs, f"u{number}"), timestamp_ms=int(time.time()))
        producer.flush()
    with listening(settings, ledger.intake) as listener:
        wait_until(lambda: len(listener.status.notices) == 2, 40, "the listener to notice both")
        others, seconds = listener.status.notices
        assert others.startswith(f"none of the last 120 events of topic {topic.name} is of listeners, version 1 ")
        assert "(another feature group: 120)" in others
        assert "have times in seconds" in seconds
        with closing(KafkaProducer(bootstrap_servers=kafka_address)) as producer:
            producer.send(topic.name, value=encode(GROUP_13, "u1"), timestamp_ms=int(time.time())).get(20)
        everything_is_read(ledger, 121)
        wait_until(lambda: len(listener.status.notices) == 1, 40, "the listener to see that one is ours")
    oldest = ledger.views.backlog().oldest_event_at
    assert oldest is not None
    assert abs(time.time() - oldest) < 120  # not since 1970
