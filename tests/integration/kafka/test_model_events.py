"""Model events on the topic of a real broker, as a server reads them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from consumer.configuration.kafka import KafkaSettings
from consumer.configuration.model_events import ModelEventSettings
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.outbox import Channel, tell
from consumer.model_events.followers import followers
from consumer.settings import Settings
from examples.serving.events import Champion, follow
from retrainer.doctor.checks import Severity
from retrainer.doctor.examination import Examination
from schemas.log_events.model_events import MODEL_EVENTS_NOT_SENT, MODEL_EVENTS_SENT_AGAIN
from schemas.model_events import ModelEventFacts, ModelEventType
from tests.integration.topics import Topic
from tests.waiting import wait_until

MODEL = "two_tower_recommender"


@contextmanager
def ledger_of(settings: Settings) -> Iterator[Ledger]:
    ledger = open_ledger(settings.ledger.url)
    yield ledger
    ledger.close()


def settings_for(topic: Topic, folder: Path) -> Settings:
    kafka = KafkaSettings(bootstrap_servers=[topic.broker], topic="source")
    return Settings(state_dir=folder, kafka=kafka, model_events=ModelEventSettings(topic=topic.name))


@contextmanager
def sending(settings: Settings, ledger: Ledger) -> Iterator[None]:
    threads = followers(settings, ledger)
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.stop()


@contextmanager
def hearing(topic: Topic) -> Iterator[list[Champion]]:
    heard: list[Champion] = []
    stopping = threading.Event()
    thread = threading.Thread(target=follow, args=(topic.broker, topic.name, MODEL, heard.append, stopping))
    thread.start()
    try:
        yield heard
    finally:
        stopping.set()
        thread.join()


def promote(ledger: Ledger, *numbers: int) -> None:
    with ledger.engine.begin() as connection:
        for number in numbers:
            facts = ModelEventFacts(
                version=10 * number, champion=10 * number, promotion=number, cycle_id="c", reason="r"
            )
            tell(connection, f"p{number}", ModelEventType.PROMOTED, facts, 100.0)


@pytest.mark.full
def test_a_server_hears_the_newest_first_and_then_each(broker: str, tmp_path: Path) -> None:
    topic = Topic.new(broker, partitions=1)
    settings = settings_for(topic, tmp_path)
    with ledger_of(settings) as ledger, sending(settings, ledger):
        promote(ledger, *range(1, 8))
        wait_until(lambda: ledger.outbox.count_waiting(Channel.TOPIC) == 0, 30, "the events to be sent")
        with hearing(topic) as heard:
            wait_until(lambda: heard, 30, "the champion of today")
            promote(ledger, 8)
            wait_until(lambda: len(heard) > 1, 30, "the next one")
        assert heard == [Champion(70, 7), Champion(80, 8)]
        with hearing(topic) as again:
            wait_until(lambda: again == [Champion(80, 8)], 30, "the champion after a restart")


@pytest.mark.full
def test_events_wait_for_a_topic_that_is_made_later(kafka_address: str, tmp_path: Path) -> None:
    topic = Topic(kafka_address, f"later-{uuid4().hex[:8]}")
    settings = settings_for(topic, tmp_path)
    with ledger_of(settings) as ledger, capture_logs() as logs, hearing(topic) as heard, sending(settings, ledger):
        promote(ledger, 1, 2)
        wait_until(lambda: any(line["event"] == MODEL_EVENTS_NOT_SENT for line in logs), 30, "a word of it")
        topic.create(partitions=1)
        wait_until(lambda: ledger.outbox.count_waiting(Channel.TOPIC) == 0, 60, "the events to be sent")
        wait_until(lambda: heard and heard[-1] == Champion(20, 2), 30, "the champion")
    assert len([line for line in logs if line["event"] == MODEL_EVENTS_NOT_SENT]) == 1
    assert any(line["event"] == MODEL_EVENTS_SENT_AGAIN for line in logs)


@pytest.mark.parametrize("there", [False, True])
def test_the_doctor_says_whether_the_topic_is_there(kafka_address: str, tmp_path: Path, there: bool) -> None:
    topic = Topic(kafka_address, f"told-{uuid4().hex[:8]}")
    if there:
        topic.create(partitions=1)
    settings = settings_for(topic, tmp_path)
    with ledger_of(settings):
        pass
    (found,) = [one for one in Examination(lambda: settings).results() if one.name == "model events"]
    assert (found.severity is Severity.OK) is there
    if not there:
        assert topic.name in found.found
