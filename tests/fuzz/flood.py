"""A flood of mutated records through a real Kafka, the real listener and a real ledger, every one accounted for.

`python -m tests.fuzz.flood MESSAGES [sqlite | postgresql [SEED]]` starts a broker of its own, sends MESSAGES change
events and a tenth as many records of an ingestion topic, and prints the account. What is lost or wrong ends it before
that. A run of a million leaves its account in tests/fuzz/results.json, a smaller one in build/fuzz.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from confluent_kafka import Producer

from benchmarks.machine import machine
from consumer.clock import Clock
from consumer.configuration.dead_letters import DeadLetterSettings
from consumer.configuration.kafka import KafkaSettings
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.listener import Listener
from consumer.logs import configure
from consumer.settings import LogSettings, Settings
from schemas.events import encode
from schemas.hopsworks import Source
from tests.brokers.apache_kafka import apache_kafka
from tests.databases import postgresql as databases
from tests.fuzz.account import LAST_WORD, Sent, account
from tests.fuzz.messages import PARTITIONS, Message
from tests.fuzz.model import verdict_of
from tests.fuzz.mutations import message
from tests.fuzz.seeds import GROUPS
from tests.integration.topics import Topic
from tests.leftovers import guarded
from tests.waiting import wait_until

OURS = GROUPS[0]
SECONDS_A_MESSAGE = 0.002
"""The slowest that the listener may be before a run is given up, after a minute to begin with."""
RESULTS = Path(__file__).with_name("results.json")
_KEPT_FROM = 1_000_000
_BUILD = Path("build/fuzz/results.json")
_REASONS = 15


@dataclass(frozen=True)
class Outcome:
    """What became of a flood."""

    source: Source
    messages: int
    stored: int
    ignored: int
    dead: int
    seconds: float
    """From the listener's start to the last message in the ledger."""
    memory_grew: int
    """Bytes by which this process was larger at its largest, from the listener's start."""
    reasons: Counter[str]
    """The dead letters by reason, numbers left out."""


def flood(
    broker: str, ledger_url: str, folder: Path, seed: int, count: int, source: Source = "notification"
) -> Outcome:
    """Send `count` messages, have them read into a new ledger, and account for every one of them.

    Raises:
        AssertionError: something became of a message that must not, or the listener stopped.
    """
    topic = Topic.new(broker, PARTITIONS, retention_ms="-1")  # some are old enough to be deleted at once
    sent = _send(topic, source, seed, count)
    ledger = open_ledger(ledger_url)
    try:
        seconds, memory_grew = _listen(_settings(topic, folder, source), ledger, topic, count)
        found = account(ledger, topic.name, sent, partial(message, source, seed))
    finally:
        ledger.close()
    return Outcome(source, count, found.stored, found.ignored, found.dead, seconds, memory_grew, found.reasons)


def _send(topic: Topic, source: Source, seed: int, count: int) -> Sent:
    """Message n is record n // PARTITIONS of partition n % PARTITIONS: the producer keeps them in order."""
    failed: list[object] = []
    options = {"enable.idempotence": True, "linger.ms": 20, "queue.buffering.max.kbytes": 65_536, "log_level": 3}
    producer = Producer({"bootstrap.servers": topic.broker, **options})
    sent = Sent()
    for number in range(count):
        made = message(source, seed, number)
        sent.note(made, verdict_of(source, OURS, made.key, made.value, made.headers))
        _produce(producer, topic, number, made, failed)
    assert producer.flush(120) == 0
    assert not failed, failed[:3]
    return sent


def _produce(producer: Any, topic: Topic, number: int, made: Message, failed: list[object]) -> None:
    while True:
        try:
            producer.produce(
                topic.name,
                value=made.value,
                key=made.key,
                partition=number % PARTITIONS,
                timestamp=made.timestamp,
                headers=list(made.headers),
                on_delivery=lambda error, _message: failed.append(error) if error else None,
            )
        except BufferError:
            producer.poll(0.1)
        else:
            producer.poll(0)
            return


def _settings(topic: Topic, folder: Path, source: Source) -> Settings:
    kafka = KafkaSettings(bootstrap_servers=[topic.broker], topic=topic.name, group_id=f"g-{topic.name}", source=source)
    return Settings(
        state_dir=folder,
        feature_group=OURS,
        kafka=kafka,
        dead_letters=DeadLetterSettings(limit=10**9, megabytes=10**6),  # the guard against floods is another matter
    )


def _listen(settings: Settings, ledger: Ledger, topic: Topic, count: int) -> tuple[float, int]:
    process, started = psutil.Process(), time.monotonic()
    before = largest = process.memory_info().rss
    listener = Listener(settings, ledger.intake, Clock(), lambda: None)
    listener.start()

    def has_read(messages: int) -> bool:
        nonlocal largest
        largest = max(largest, process.memory_info().rss)
        assert listener.is_alive(), listener.failure
        return ledger.views.read().events >= messages

    try:
        wait_until(lambda: has_read(count), 60 + SECONDS_A_MESSAGE * count, f"{count} messages in the ledger")
        seconds = time.monotonic() - started
        ours = [("featureGroupId", str(OURS.id).encode())]
        topic.send([(LAST_WORD.encode(), encode(OURS, LAST_WORD), ours)], partition=0)
        wait_until(lambda: has_read(count + 1), 30, "one more event, as the listener goes on listening")
    finally:
        listener.stop()
        listener.join(100)
    assert listener.failure is None
    assert ledger.views.read().events == count + 1
    return seconds, largest - before


def line(found: Mapping[str, Any]) -> str:
    """The account of one flood, as it is printed and quoted."""
    unaccounted = found["messages"] - found["stored"] - found["ignored"] - found["dead"]
    return (
        f"source={found['source']} messages={found['messages']} stored={found['stored']} ignored={found['ignored']}"
        f" dead={found['dead']} unaccounted={unaccounted} seconds={found['seconds']}"
        f" memory_grew_mib={found['memory_grew_mib']}"
    )


def _told(outcome: Outcome) -> dict[str, Any]:
    told = asdict(outcome) | {"seconds": round(outcome.seconds), "reasons": dict(outcome.reasons.most_common(_REASONS))}
    return told | {"memory_grew_mib": round(told.pop("memory_grew") / 2**20)}


def main(arguments: list[str]) -> None:
    """Run the floods, print what became of them, and keep it."""
    count, engine, seed = [*arguments, *["sqlite", "1"][len(arguments) - 1 :]]
    configure(LogSettings(level="error", format="json"))
    on, floods = machine(), list[dict[str, Any]]()
    with ExitStack() as held:
        held.enter_context(guarded())
        folder = Path(held.enter_context(TemporaryDirectory(prefix="flood-")))
        broker = held.enter_context(apache_kafka())
        server = held.enter_context(databases.postgresql()) if engine == "postgresql" else None
        floodings: list[tuple[Source, int]] = [("notification", int(count)), ("ingestion", int(count) // 10)]
        for source, messages in floodings:
            url = server.new_schema() if server else f"sqlite:///{folder / source}.db"
            found = _told(flood(broker, url, folder, int(seed), messages, source))
            floods.append(found)
            for reason, letters in found["reasons"].items():
                print(f"{letters:9,}  {reason}")
            print(line(found), flush=True)
    results = RESULTS if int(count) >= _KEPT_FROM else _BUILD
    results.parent.mkdir(parents=True, exist_ok=True)
    told = {"commit": on["commit"], "machine": on, "seed": int(seed), "ledger": engine, "floods": floods}
    results.write_text(json.dumps(told, indent=2) + "\n")
    print(f"see {results}")


if __name__ == "__main__":
    main(sys.argv[1:])
