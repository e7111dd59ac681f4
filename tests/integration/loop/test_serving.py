"""Model events from a real service to a topic, a webhook, and the example server, over kills."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka_event
from kafka import KafkaConsumer, TopicPartition
from standardwebhooks import Webhook

from schemas.fault_points import Point
from schemas.manifest import MANIFEST_FILE, ModelManifest
from schemas.model_events import ModelEvent
from stores.vectors.together import VectorsApart, check_together, origin_of
from tests.integration.service import Service
from tests.integration.topics import Topic
from tests.unit.consumer.sending.receiver import Receiver, receiving
from tests.waiting import wait_until

pytestmark = pytest.mark.full

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105


def events_on(topic: Topic) -> list[Any]:
    """The CloudEvents of a topic of one partition, read by the library."""
    consumer: Any = KafkaConsumer(bootstrap_servers=topic.broker, group_id=None)
    partition = TopicPartition(topic.name, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    records: list[Any] = []
    while found := consumer.poll(timeout_ms=1500):
        records += found[partition]
    consumer.close()
    assert {record.key for record in records} <= {b"two_tower_recommender"}
    return [from_kafka_event(KafkaMessage(dict(one.headers), one.key, one.value)) for one in records]


class Example:
    """The example server as a process, and somebody who asks it all the time; with `sets` it reads vectors there."""

    def __init__(self, service: Service, topic: Topic, sets: Path | None) -> None:
        self._log = service.folder / f"example-{'computes' if sets is None else 'reads'}.log"
        self._port = _free_port()
        self.answers: list[dict[str, Any]] = []
        self.problems: list[str] = []
        self._over = threading.Event()
        arguments = ["--brokers", topic.broker, "--topic", topic.name, "--state", str(service.folder)]
        arguments += [] if sets is None else ["--vectors", str(sets)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.serving", *arguments, "--port", str(self._port)],
                stderr=log,
                env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            )
        self._asking = threading.Thread(target=self._ask)

    def health(self) -> tuple[int, int] | None:
        """The versions of the model and of the vectors."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=5) as answer:
                told = json.load(answer)
                return told["version"], told["vectors"]
        except OSError:
            return None

    def wait_for(self, version: int) -> None:
        wait_until(lambda: self.health() == (version, version), 120, f"version {version} to be served; see {self._log}")

    def begin_to_ask(self) -> None:
        self._asking.start()

    def _ask(self) -> None:
        while not self._over.wait(0.1):  # with a hundred a second the examples take both cores
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/similar?user=u10", timeout=30) as answer:
                    self.answers.append(json.load(answer))
            except (OSError, ValueError) as error:
                self.problems.append(str(error))

    def close(self) -> None:
        self._over.set()
        if self._asking.is_alive():
            self._asking.join()
        self.process.terminate()
        self.process.wait(120)


def may_meet(registry: Path) -> set[tuple[int, int, float | None]]:
    """Which versions' queries may meet the vectors of the one before, by the manifests, and how much that keeps."""
    origins = {
        version: origin_of(version, ModelManifest.model_validate_json(path.read_bytes()))
        for version in (1, 2, 3)
        for path in registry.glob(f"*/{version}/{MANIFEST_FILE}")
    }
    found: set[tuple[int, int, float | None]] = set()
    for version in (2, 3):
        with suppress(VectorsApart):
            meeting = check_together(origins[version], origins[version - 1])
            found.add((version, version - 1, 1.0 if meeting.same else meeting.kept))
    return found


def _free_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@contextmanager
def serving(service: Service, topic: Topic, sets: Path | None) -> Iterator[Example]:
    example = Example(service, topic, sets)
    try:
        yield example
    finally:
        example.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as opened:
        yield opened


def test_the_example_follows_the_champion_over_kills_between_promotion_and_event(
    kafka_address: str, tmp_path: Path, receiver: Receiver
) -> None:
    topic = Topic.new(kafka_address, partitions=1)
    (tmp_path / "secret").write_text(SECRET)
    events = {
        "MODEL_EVENTS__TOPIC": topic.name,
        "MODEL_EVENTS__WEBHOOK": receiver.url,
        "MODEL_EVENTS__WEBHOOK_SECRET_FILE": str(tmp_path / "secret"),
        "VECTORS__OUT": str(tmp_path / "vectors"),
    }
    service = Service(tmp_path, kafka_address, **events)
    try:
        service.fill()
        service.start()
        service.wait_for_cycles(1)
        wait_until(lambda: len(receiver.came) == 1, 30, "the webhook's event")
        with serving(service, topic, None) as computes, serving(service, topic, tmp_path / "vectors") as reads:
            examples = (computes, reads)
            for example in examples:
                example.wait_for(1)
                example.begin_to_ask()
            assert service.stop() == 0

            service.wave(1)
            service.dies_at(Point.TELLING)  # version 2 is champion, and nobody has heard of it
            assert [version["champion"] for version in service.versions()] == [False, True]
            assert service.status()["model_events"]["waiting"] == {"topic": 1, "webhook": 1}
            assert len(events_on(topic)) == 1
            assert {example.health() for example in examples} == {(1, 1)}
            service.start()
            for example in examples:
                example.wait_for(2)

            assert service.stop() == 0
            service.wave(2)
            service.dies_at(Point.TOLD)  # one of the two has the event of version 3, and the ledger does not know
            service.start()
            for example in examples:
                example.wait_for(3)
            wait_until(lambda: service.status()["model_events"]["waiting"] == {"topic": 0, "webhook": 0}, 30, "both")
            assert service.stop() == 0
        for example in examples:
            assert example.problems == []
            seen = [answer["version"] for answer in example.answers]
            assert seen == sorted(seen)
            assert set(seen) == {1, 2, 3}
        assert all(answer["version"] == answer["vectors"] for answer in computes.answers)
        met = {(answer["version"], answer["vectors"], answer.get("kept")) for answer in reads.answers}
        assert met - {(version, version, None) for version in (1, 2, 3)} <= may_meet(tmp_path / "registry")
    finally:
        service.close()

    told = events_on(topic)
    by_id = {event.get_id(): event.get_data() for event in told}
    assert [data["version"] for data in by_id.values()] == [1, 2, 3]  # exactly what the ledger says, in order
    assert [data["previous"] for data in by_id.values()] == [None, 1, 2]
    assert len({data["promotion"] for data in by_id.values()}) == 3
    assert all(Path(data["files"]["path"], data["files"]["query_tower"]).exists() for data in by_id.values())
    heard = [(Webhook(SECRET).verify(body, _lowered(headers)), body) for headers, body in receiver.came]
    assert {event["id"] for event, _ in heard} == set(by_id)
    assert len(told) + len(heard) in (7, 8)  # one came twice, or both that were under way when it was killed
    assert all(ModelEvent.model_validate_json(body).body() == body for _, body in heard)


def _lowered(headers: Any) -> dict[str, str]:
    return {name.lower(): text for name, text in headers.items()}
