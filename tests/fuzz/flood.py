"""A flood of mutated events through a real Kafka, the real listener and a real ledger, every message accounted for.

`python -m tests.fuzz.flood MESSAGES [sqlite | postgresql [SEED]]` starts a broker of its own and prints the
account: the fifteen most frequent reasons of dead letters, and a line. What is lost or wrong ends it before that.
"""

from __future__ import annotations

import base64
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
from confluent_kafka import Producer
from sqlalchemy import Row, select

from consumer.dead_letters.settings import DeadLetterSettings
from consumer.kafka.settings import KafkaSettings
from consumer.ledger.engine import reading
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.tables import changes, dead_letters, offsets
from consumer.listener.listener import Listener
from consumer.logs import configure
from consumer.settings import LogSettings, Settings
from schemas.events import encode
from tests.brokers.apache_kafka import apache_kafka
from tests.databases import postgresql as databases
from tests.fuzz.mutations import PARTITIONS, Message, message
from tests.fuzz.seeds import GROUPS
from tests.integration.topics import Topic
from tests.waiting import wait_until

OURS = GROUPS[0]
LAST_WORD = "after-the-flood"
SECONDS_A_MESSAGE = 0.002
"""The slowest that the listener may be before a run is given up, after a minute to begin with."""


@dataclass
class Sent:
    """What was sent, by what must become of it."""

    expected: bytearray = field(default_factory=bytearray)  # by number: the first letter of what is expected
    users: dict[str, list[tuple[int, str]]] = field(default_factory=dict)  # the changes of each user known to be stored

    def note(self, number: int, sent: Message) -> None:
        self.expected.append(ord(sent.expected[0]))
        if sent.user is not None:
            self.users.setdefault(sent.user, []).append((number // PARTITIONS, sent.operation.value))


@dataclass(frozen=True)
class Outcome:
    """What became of a flood."""

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


def flood(broker: str, ledger_url: str, folder: Path, seed: int, count: int) -> Outcome:
    """Send `count` messages, have them read into a new ledger, and account for every one of them.

    Raises:
        AssertionError: something became of a message that must not, or the listener stopped.
    """
    topic = Topic.new(broker, PARTITIONS, retention_ms="-1")  # some are old enough to be deleted at once
    sent = _send(topic, seed, count)
    ledger = open_ledger(ledger_url)
    try:
        seconds, memory_grew = _listen(_settings(topic, folder), ledger, topic, count)
        return _account(ledger, topic, seed, sent, seconds, memory_grew)
    finally:
        ledger.close()


def _send(topic: Topic, seed: int, count: int) -> Sent:
    """Message n is record n // PARTITIONS of partition n % PARTITIONS: the producer keeps them in order."""
    failed: list[object] = []
    options = {"enable.idempotence": True, "linger.ms": 20, "queue.buffering.max.kbytes": 65_536, "log_level": 3}
    producer = Producer({"bootstrap.servers": topic.broker, **options})
    sent = Sent()
    for number in range(count):
        made = message(seed, number)
        sent.note(number, made)
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


def _settings(topic: Topic, folder: Path) -> Settings:
    return Settings(
        state_dir=folder,
        feature_group=OURS,
        kafka=KafkaSettings(bootstrap_servers=[topic.broker], topic=topic.name, group_id=f"g-{topic.name}"),
        dead_letters=DeadLetterSettings(limit=10**9, megabytes=10**6),  # the guard against floods is another matter
    )


def _listen(settings: Settings, ledger: Ledger, topic: Topic, count: int) -> tuple[float, int]:
    process, started = psutil.Process(), time.monotonic()
    before = largest = process.memory_info().rss
    listener = Listener(settings, ledger.intake, time.time, lambda: None)
    listener.start()

    def has_read(messages: int) -> bool:
        nonlocal largest
        largest = max(largest, process.memory_info().rss)
        assert listener.is_alive(), listener.failure
        return ledger.views.read().events >= messages

    try:
        wait_until(lambda: has_read(count), 60 + SECONDS_A_MESSAGE * count, f"{count} messages in the ledger")
        seconds = time.monotonic() - started
        topic.send([(None, encode(OURS, LAST_WORD), ())], partition=0)
        wait_until(lambda: has_read(count + 1), 30, "one more event, as the listener goes on listening")
    finally:
        listener.stop()
        listener.join(20)
    assert listener.failure is None
    assert ledger.views.read().events == count + 1
    return seconds, largest - before


def _account(ledger: Ledger, topic: Topic, seed: int, sent: Sent, seconds: float, memory_grew: int) -> Outcome:
    count = len(sent.expected)
    dead, reasons = _dead_letters(ledger, seed, count)
    ignored = _offsets(ledger, count)
    stored = _users(ledger, topic, sent)
    by_expected = Counter(chr(code) for code in sent.expected)
    for number, (code, died) in enumerate(zip(sent.expected, dead, strict=True)):
        assert chr(code) == "a" or died == (chr(code) == "d"), f"message {number}: {message(seed, number)}"
    assert stored + ignored + sum(dead) == count
    maybe_ignored = by_expected["a"] - (sum(dead) - by_expected["d"])
    assert by_expected["i"] <= ignored <= by_expected["i"] + maybe_ignored
    return Outcome(count, stored, ignored, sum(dead), seconds, memory_grew, reasons)


def _dead_letters(ledger: Ledger, seed: int, count: int) -> tuple[bytearray, Counter[str]]:
    """Which messages died, each once, as it was sent; and of what."""
    dead, reasons = bytearray(count), Counter[str]()
    with reading(ledger.engine) as connection:
        for row in connection.execution_options(yield_per=1000).execute(select(dead_letters)):
            number = row.offset * PARTITIONS + row.partition
            assert not dead[number]
            dead[number] = 1
            _is_as_sent(row, message(seed, number))
            reasons[re.sub(r"\d+", "N", row.reason)] += 1
    return dead, reasons


def _is_as_sent(letter: Row[Any], sent: Message) -> None:
    headers = [[name, None if value is None else base64.b64encode(value).decode()] for name, value in sent.headers]
    kept = letter.key, letter.value, letter.headers
    assert kept == (sent.key, sent.value, headers), f"{kept} of {sent}"
    assert letter.event_at == sent.timestamp / 1000
    assert letter.stage == "decode"
    assert letter.reason


def _offsets(ledger: Ledger, count: int) -> int:
    """Every partition is read to its end, and no record twice. How many were ignored."""
    with reading(ledger.engine) as connection:
        rows = {row.partition: row for row in connection.execute(select(offsets))}
    ends = {number: len(range(number, count, PARTITIONS)) + (number == 0) for number in range(PARTITIONS)}
    assert {number: row.next_offset for number, row in rows.items()} == ends
    assert {number: row.events for number, row in rows.items()} == ends
    return sum(row.ignored for row in rows.values())


def _users(ledger: Ledger, topic: Topic, sent: Sent) -> int:
    """The users who are known to have changed are pending with all their events, and nothing else. How many events."""
    known, stored = dict(sent.users), 0
    for row in _pending(ledger):
        if row.user_id == LAST_WORD:
            continue
        stored += row.events
        if (events := known.pop(row.user_id, None)) is not None:
            (first, _), (last, operation) = events[0], events[-1]
            assert (row.events, row.operation) == (len(events), operation), row.user_id
            assert row.first_position.endswith(f"@{first}")
            assert row.last_position.endswith(f"@{last}")
    assert not known, f"lost: {list(known)[:5]}"
    return stored


def _pending(ledger: Ledger) -> Iterator[Row[Any]]:
    with reading(ledger.engine) as connection:
        yield from connection.execution_options(yield_per=1000).execute(select(changes))


def main(arguments: list[str]) -> None:
    """Run one flood and print its outcome."""
    count, engine, seed = [*arguments, *["sqlite", "1"][len(arguments) - 1 :]]
    configure(LogSettings(level="error", format="json"))
    with ExitStack() as held:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="flood-")))
        url = f"sqlite:///{folder / 'ledger.db'}"
        if engine == "postgresql":
            url = held.enter_context(databases.postgresql()).new_schema()
        outcome = flood(held.enter_context(apache_kafka()), url, folder, int(seed), int(count))
    unaccounted = outcome.messages - outcome.stored - outcome.ignored - outcome.dead
    for reason, letters in outcome.reasons.most_common(15):
        print(f"{letters:9,}  {reason}")
    print(
        f"messages={outcome.messages} stored={outcome.stored} ignored={outcome.ignored} dead={outcome.dead}"
        f" unaccounted={unaccounted} seconds={outcome.seconds:.0f} memory_grew_mib={outcome.memory_grew / 2**20:.0f}"
        f" ledger={engine} seed={seed}"
    )


if __name__ == "__main__":
    main(sys.argv[1:])
