"""Others in our consumer group, on an Apache Kafka: on another ledger, of another kind, of the newer protocol."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from kafka import KafkaConsumer

from consumer import neighbours
from consumer.kafka.clients import make_admin
from consumer.kafka.group import Membership, members_of
from consumer.kafka.options import admin_options
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.neighbours import Neighbours
from consumer.settings import Settings
from consumer.status import Status
from retrainer.doctor.checks import Result, Severity
from retrainer.doctor.examination import Examination
from schemas.log_events.listener import OTHERS_READ_OUR_TOPIC, PARTITIONS_ASSIGNED
from tests.integration.listening import has_caught_up, listening, settings_for
from tests.integration.service import QUICK, Service, ServiceProcess
from tests.integration.topics import Topic
from tests.waiting import wait_until
from tests.worlds import names


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_LOOK_EVERY", 0.3)


@contextmanager
def watching(settings: Settings, ledger: Ledger, heard: set[str] | None = None) -> Iterator[Neighbours]:
    found = Neighbours(settings.kafka, Membership(ledger.ledger_id, ""), lambda _seconds: heard or set())
    found.start()
    yield found
    found.stop()
    assert not found.is_alive()


@contextmanager
def newer(topic: str, settings: Settings) -> Iterator[Any]:
    """A member of the newer protocol (KIP-848), in our group, which has partitions of a topic."""
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers[0],
            "group.id": settings.kafka.group_id,
            "group.protocol": "consumer",
            "client.id": "newer",
        }
    )
    consumer.subscribe([topic])
    wait_until(lambda: consumer.poll(0.1) is None and consumer.assignment(), 40, "the newer member to have partitions")
    yield consumer
    consumer.close()


def group_check(settings: Settings) -> Result:
    (found,) = [one for one in Examination(lambda: settings).results() if one.name == "consumer group"]
    return found


def test_a_service_on_another_ledger_does_not_get_into_the_group_and_takes_nothing_away(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    """Both would learn half, and each say that it lags behind by nothing."""
    topic = Topic.new(kafka_address)
    settings = settings_for(topic, tmp_path)
    with (
        closing(open_ledger(f"sqlite:///{tmp_path / 'other.db'}")) as other,
        listening(settings, ledger.intake) as first,
        watching(settings, ledger) as of_first,
        watching(settings, other) as of_second,
    ):
        has_caught_up(first, 3)
        with listening(settings, other.intake) as second:
            wait_until(lambda: second.status.unable, 30, "the second to be refused")
            wait_until(lambda: "ledger a group of its own" in str(second.status.unable), 30, "the second to say why")
            wait_until(lambda: of_second.trouble, 30, "the second to name the first")
            assert Membership(ledger.ledger_id, "").client_id in str(of_second.trouble)
            topic.send_users(names(30))
            wait_until(lambda: ledger.views.read().events == 30, 40, "all events")
        assert (first.status.partitions, of_first.trouble) == (3, None)
        assert other.views.read().events == 0
        with listening(settings, other.intake) as second:
            wait_until(lambda: second.status.unable, 30, "the second to be refused again")
            first.stop()
            has_caught_up(second, 3)  # nobody else is there any more


def test_a_copy_of_the_ledger_is_told_from_it_by_who_speaks_there(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address)
    settings = settings_for(topic, tmp_path)
    ledger.close()
    shutil.copy(tmp_path / "ledger.db", tmp_path / "copy.db")
    with (
        closing(open_ledger(f"sqlite:///{tmp_path / 'copy.db'}")) as copied,
        listening(settings, copied.intake) as listener,
    ):
        has_caught_up(listener, 3)
        own = Membership(ledger.ledger_id, "another")
        found = Neighbours(settings.kafka, own, lambda _seconds: set())
        found.start()
        wait_until(lambda: found.trouble, 30, "the copy to be told of")
        found.stop()
        with watching(settings, ledger, heard={"another"}) as quiet:
            wait_until(lambda: quiet._admin is not None, 30, "a look")
            assert quiet.trouble is None


@pytest.mark.full
def test_members_of_the_newer_protocol_are_seen_and_told_of_where_they_read_our_topic(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic, another = Topic.new(kafka_address), Topic.new(kafka_address)
    settings = settings_for(topic, tmp_path)
    with listening(settings, ledger.intake) as listener, watching(settings, ledger) as watched:
        has_caught_up(listener, 3)
        with newer(another.name, settings), closing(make_admin(settings.kafka, admin_options(settings.kafka))) as admin:
            seen = {one.client_id: one.topics for one in members_of(admin, settings.kafka.group_id) or ()}
            ours = Membership(ledger.ledger_id, "").client_id
            assert seen == {ours: frozenset({topic.name}), "newer": frozenset({another.name})}
            assert watched.trouble is None
            assert group_check(settings.model_copy(update={"state_dir": tmp_path / "none"})).severity is Severity.FAILED
        with newer(topic.name, settings):
            wait_until(lambda: watched.trouble, 30, "the member to be told of")
            assert "newer at" in str(watched.trouble)
            assert ours not in str(watched.trouble)
        wait_until(lambda: watched.trouble is None, 30, "that to be over")


def test_the_doctor_names_strangers_in_the_group_and_joins_it_not(
    kafka_address: str, tmp_path: Path, ledger: Ledger
) -> None:
    topic = Topic.new(kafka_address)
    settings = settings_for(topic, tmp_path)
    with listening(settings, ledger.intake) as listener:
        has_caught_up(listener, 3)
        assert group_check(settings).severity is Severity.FAILED  # it has not spoken in the ledger
        how = Status(1, "listening", written_at=1.0, polled_at=1.0, lag=0, hold=None, cycle=None)
        ledger.instances.report("", how, 1.0)
        assert group_check(settings).severity is Severity.OK
        assert listener.status.partitions == 3
    with closing(KafkaConsumer(bootstrap_servers=kafka_address, group_id=settings.kafka.group_id)) as console:
        console.subscribe([topic.name])
        wait_until(lambda: console.poll(100) is not None and console.assignment(), 40, "a consumer in our group")
        found = group_check(settings)
        assert (found.severity, "is no instance of this ledger" in found.found) == (Severity.FAILED, True)
        assert "RETRAINER_KAFKA__GROUP_ID" in str(found.todo)


@pytest.mark.full
def test_of_two_services_with_ledgers_of_their_own_in_one_group_the_second_says_that_it_reads_nothing(
    kafka_address: str, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first = Service(tmp_path / "first", kafka_address)
    group = {"KAFKA__TOPIC": first.topic.name, "KAFKA__GROUP_ID": first.environment["RETRAINER_KAFKA__GROUP_ID"]}
    second = ServiceProcess(tmp_path / "second", {**QUICK, **group, "KAFKA__BOOTSTRAP_SERVERS": kafka_address})
    try:
        first.start()
        wait_until(lambda: any(line["event"] == PARTITIONS_ASSIGNED for line in first.log()), 60, "the first to read")
        second.start()
        wait_until(lambda: any(line["event"] == OTHERS_READ_OUR_TOPIC for line in second.log()), 60, "a word of it")
        said = "trouble", "unable"
        wait_until(lambda: all(map(second.status().get, said)), 30, "the status to say so")
        found = second.status()
        assert "is no instance of this ledger" in found["trouble"]
        assert "RETRAINER_KAFKA__GROUP_ID" in found["unable"]
        assert found["lag"] is None
        first.topic.send_users(names(30))
        wait_until(lambda: first.counted().events == 30, 60, "all events")
        assert first.status()["trouble"] is None
    finally:
        second.close()
        first.close()
