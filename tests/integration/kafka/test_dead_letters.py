"""P1 and P6 in a flood of dead letters, and the dead-letter topic, on a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from structlog.testing import capture_logs

from consumer.configuration.dead_letters import DeadLetterSettings
from consumer.configuration.kafka import KafkaSettings
from consumer.dead_letters.letter import DeadLetter, Headers
from consumer.dead_letters.publisher import Publisher
from consumer.dead_letters.store import Which
from consumer.ledger.batch import Batch
from consumer.ledger.ledger import Ledger
from consumer.listener.state import ListenerState
from consumer.positions import Partition, Position
from consumer.settings import Settings
from schemas.events import encode
from tests.integration.listening import GROUP_13, everything_is_read, listening, settings_for
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import names

TOO_MANY = ListenerState.TOO_MANY_DEAD_LETTERS


POLL_LIMIT = 2.0  # seconds without a poll, after which the client leaves its group
LIMIT = 50


def flood_settings(topic: Topic, folder: Path) -> Settings:
    """Few letters may be open, and whoever stops polling is soon out of the group."""
    settings = settings_for(topic, folder, max_poll_interval_ms=int(1000 * POLL_LIMIT), max_poll_records=20)
    return settings.model_copy(update={"dead_letters": DeadLetterSettings(limit=LIMIT, check_every=0.2)})


def members(broker: str, group: str) -> set[str]:
    """Who is in a group: each joining gives a new id."""
    admin = KafkaAdminClient(bootstrap_servers=broker)
    try:
        found: Any = admin.describe_groups([group])
    finally:
        admin.close()
    return {member["member_id"] for member in found[group]["members"]}


@pytest.mark.full
def test_a_flood_pauses_reading_keeps_the_membership_and_loses_nothing(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address, partitions=2)
    settings = flood_settings(topic, tmp_path)
    for partition in (0, 1):
        good = [(None, encode(GROUP_13, user), ()) for user in names(20, start=20 * partition)]
        bad = [(None, b"{", ())] * 100
        topic.send([*good[:10], *bad, *good[10:]], partition)
    with listening(settings, ledger.intake) as listener:
        wait_until(lambda: listener.status.state == TOO_MANY, 30, "the flood to hold up reading")
        held_at, stored = time.monotonic(), ledger.views.read()
        before = members(topic.broker, settings.kafka.group_id)
        assert len(before) == 1
        assert 0 < stored.open_letters <= LIMIT
        wait_until(lambda: time.monotonic() > held_at + 2 * POLL_LIMIT, 20, "more time than a poll may take")
        assert members(topic.broker, settings.kafka.group_id) == before
        assert time.time() - listener.status.polled_at < POLL_LIMIT
        assert (listener.status.state, listener.status.held) == (
            TOO_MANY,
            TOO_MANY,
        )
        assert ledger.views.read() == stored

        def discarded_until_all_is_read() -> bool:
            assert ledger.views.read().open_letters <= LIMIT
            ledger.letters.discard(ledger.letters.ids(Which()), "a flood", time.time())
            return ledger.views.read().events >= 240

        wait_until(discarded_until_all_is_read, 40, "all to be read while an operator makes room")
        wait_until(lambda: listener.status.state == ListenerState.LISTENING, 10, "the listener to listen")
        assert members(topic.broker, settings.kafka.group_id) == before
    everything_is_read(ledger, 240)
    letters = ledger.letters.find(Which(None), 1000)
    assert {(one.position.partition, one.position.offset) for one in letters} == {
        (partition, offset) for partition in (0, 1) for offset in range(10, 110)
    }
    assert ledger.views.backlog().users == 40


def test_a_restart_in_a_flood_holds_up_reading_again(kafka_address: str, tmp_path: Path, ledger: Ledger) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    topic.send([(None, b"{", ())] * 100)
    for _ in range(2):
        with listening(flood_settings(topic, tmp_path), ledger.intake) as listener:
            wait_until(lambda: listener.status.state == TOO_MANY, 30, "the flood to hold up reading")
        assert 0 < ledger.views.read().dead_letters <= LIMIT
        assert ledger.views.read().events == ledger.views.read().dead_letters


def store(ledger: Ledger, *letters: tuple[bytes | None, bytes | None, Headers, str]) -> None:
    partition = Partition("source", 3)
    ledger.intake.start_at({partition: 0}, 0.0)
    at = ledger.intake.positions("source")[partition]
    dead = [
        DeadLetter(Position(*partition, at + number), 50.0, key, value, headers, stage, f"reason \N{SNOWMAN} {number}")
        for number, (key, value, headers, stage) in enumerate(letters)
    ]
    ledger.intake.record(Batch(received_at=100.0, progress={partition: (at, at + len(dead))}, dead=dead))


@contextmanager
def publishing(topic: Topic, ledger: Ledger) -> Iterator[None]:
    publisher = Publisher(KafkaSettings(bootstrap_servers=[topic.broker], topic="source"), topic.name, ledger.letters)
    publisher.start()
    publisher.start()
    try:
        yield
    finally:
        publisher.stop()
        publisher.stop()


def records(topic: Topic) -> list[Any]:
    """All that a topic of one partition holds."""
    consumer: Any = KafkaConsumer(bootstrap_servers=topic.broker, group_id=None)
    partition = TopicPartition(topic.name, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    end = consumer.end_offsets([partition])[partition]
    found: list[Any] = []
    while consumer.position(partition) < end:
        found += consumer.poll(timeout_ms=500).get(partition, [])
    consumer.close()
    return found


def test_each_letter_is_copied_to_the_topic_once_it_is_there_with_what_is_on_record(
    kafka_address: str, ledger: Ledger
) -> None:
    topic = Topic(kafka_address, f"dead-{time.time_ns()}")
    big = b"x" * 2_000_000  # more than the broker takes
    store(
        ledger,
        (b"k", b"\xff\x00", (("h", b"1"), ("h", b"2"), ("null", None)), "decode"),
        (b"gone", None, (), "decode"),
        (None, big, (), "decode"),
        (None, None, (), "gap"),
    )
    with capture_logs() as logs, publishing(topic, ledger):
        wait_until(lambda: [line for line in logs if line["log_level"] == "warning"], 30, "a word that it is not there")
        topic.create(partitions=1)
        wait_until(lambda: not ledger.letters.unpublished(), 60, "the letters to be published")
        store(ledger, (b"later", b"x", (), "decode"))
        wait_until(lambda: not ledger.letters.unpublished(), 30, "the later one, too")
    assert len([line for line in logs if line["log_level"] == "warning"]) == 1
    with publishing(topic, ledger):
        store(ledger, (b"last", b"x", (), "decode"))
        wait_until(lambda: not ledger.letters.unpublished(), 30, "one after a new start")
    found = {dict(record.headers)["retrainer.offset"]: record for record in records(topic)}
    assert sorted(found) == [b"0", b"1", b"2", b"3", b"4", b"5"]
    first = found[b"0"]
    assert (first.key, first.value) == (b"k", b"\xff\x00")
    assert first.headers == [
        ("h", b"1"),
        ("h", b"2"),
        ("null", b""),
        ("retrainer.topic", b"source"),
        ("retrainer.partition", b"3"),
        ("retrainer.offset", b"0"),
        ("retrainer.stage", b"decode"),
        ("retrainer.reason", "reason \N{SNOWMAN} 0".encode()),
        ("retrainer.at", b"1970-01-01T00:01:40+00:00"),
    ]
    assert (found[b"1"].key, found[b"1"].value) == (b"gone", None)
    assert found[b"2"].value == b""
    assert b"2000000 bytes" in dict(found[b"2"].headers)["retrainer.left-out"]
    assert dict(found[b"3"].headers)["retrainer.stage"] == b"gap"
    assert [found[offset].key for offset in (b"4", b"5")] == [b"later", b"last"]
    assert len(records(topic)) == 6


def test_what_a_broken_off_publisher_had_not_noted_is_published_again(
    kafka_address: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    store(ledger, (b"k", b"x", (), "decode"))
    with monkeypatch.context() as patched:
        calls = refusing_notes(patched, ledger, 10**6)
        with publishing(topic, ledger):
            wait_until(lambda: calls, 30, "the letter to be acknowledged")
    with publishing(topic, ledger):
        wait_until(lambda: not ledger.letters.unpublished(), 30, "the letter to be noted as published")
    assert [record.key for record in records(topic)] == [b"k", b"k"]


def test_while_the_ledger_refuses_the_note_nothing_is_copied_again(
    kafka_address: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    store(ledger, (b"first", b"x", (), "decode"), (b"second", b"x", (), "decode"))
    calls = refusing_notes(monkeypatch, ledger, 2)
    with publishing(topic, ledger):
        wait_until(lambda: calls, 30, "the letters to be acknowledged")
        store(ledger, (b"third", b"x", (), "decode"))
        wait_until(lambda: not ledger.letters.unpublished(), 30, "all letters to be noted as published")
    assert [len(ids) for ids in calls] == [2, 2, 2, 1]
    assert [record.key for record in records(topic)] == [b"first", b"second", b"third"]


def refusing_notes(patched: pytest.MonkeyPatch, ledger: Ledger, times: int) -> list[list[int]]:
    """The ledger refuses to note so many times what the topic has; gives all that it was to note."""
    noted = ledger.letters.published
    calls: list[list[int]] = []

    def note(_letters: object, ids: list[int]) -> None:
        calls.append(list(ids))
        if len(calls) <= times:
            raise RuntimeError("database or disk is full")
        noted(ids)

    patched.setattr(type(ledger.letters), "published", note)
    return calls
