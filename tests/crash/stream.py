"""Commits that never stop: rows into the feature store, their events onto the topic, and a journal of both.

The journal is independent of everything that is tested: a line for each record, written when the broker has
acknowledged it, saying what it was and where it stands.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from kafka import KafkaProducer

from schemas.events import encode
from tests.integration.topics import Headers, Topic
from tests.worlds import GROUP, World, names
from trainer.features.local import LocalFeatureStore

FIRST_USERS = 300
_PAUSE = 0.08
_OTHER_GROUP = GROUP.model_copy(update={"name": "somebody_elses"})

# Records that nobody can understand: key, value.
GARBAGE: tuple[tuple[bytes | None, bytes | None], ...] = (
    (b"u1", b"{no json"),
    (b"u1", b'{"featureGroupName": "listeners", "entry": {"name": "u1"}}'),
    (b"u1", b"\xff\xfe\x00"),
    (b"", None),
    (b"\xff", None),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """A record on the broker. `at`: when it was sent, or a little before, in seconds since the epoch."""

    kind: Literal["change", "dead", "ignored"]
    user: str | None
    partition: int
    offset: int
    at: float


class Stream(threading.Thread):
    """Commits until it is told to stop.

    Args:
        topic: where the events go.
        store: file of the feature store.
        journal: file of the journal.
        seed: of what is committed.
    """

    def __init__(self, topic: Topic, store: Path, journal: Path, seed: int) -> None:
        super().__init__(name="stream", daemon=True)
        self.sent = 0
        self.failure: Exception | None = None
        self._topic = topic
        self._store = store
        self._journal = journal
        self._draw = random.Random(seed)
        self._world = World(seed)
        self._stopping = threading.Event()
        self._turn = threading.Lock()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is committed meanwhile, and everything that was committed has been acknowledged."""
        with self._turn:
            self.check()
            yield

    def stop(self) -> None:
        """Commit no more; everything that was committed has been acknowledged when this returns."""
        self._stopping.set()
        self.join()
        self.check()

    def check(self) -> None:
        """Raise what ended it, if anything did."""
        if self.failure is not None:
            raise self.failure

    def run(self) -> None:
        try:
            self._commit_for_ever()
        except Exception as error:  # noqa: BLE001  (whoever looks after it is told)
            self.failure = error

    def _commit_for_ever(self) -> None:
        store = LocalFeatureStore(self._store, GROUP)
        producer = KafkaProducer(bootstrap_servers=self._topic.broker, acks="all", linger_ms=0)
        pool = names(FIRST_USERS)
        with self._journal.open("a") as journal:
            with self._turn:
                self._publish(store, producer, journal, self._world.rows(pool), [])
            while not self._stopping.wait(_PAUSE * 2 * self._draw.random()):
                with self._turn:
                    self._commit(store, producer, journal, pool)
        producer.close()
        store.close()

    def _commit(self, store: LocalFeatureStore, producer: Any, journal: Any, pool: list[str]) -> None:
        if self._draw.random() < 0.1:
            pool.append(f"u{len(pool)}")  # a newcomer
        chosen = self._draw.sample(pool[-40:] if self._draw.random() < 0.5 else pool, self._draw.randint(1, 4))
        deleted = [chosen.pop()] if self._draw.random() < 0.15 else []
        self._publish(store, producer, journal, self._world.rows(chosen), deleted)
        if self._draw.random() < 0.1:
            self._send(producer, journal, "dead", *self._draw.choice(GARBAGE))
        if self._draw.random() < 0.1:
            self._send(producer, journal, "ignored", b"u1", encode(_OTHER_GROUP, "u1"))

    def _publish(
        self, store: LocalFeatureStore, producer: Any, journal: Any, upserts: dict[str, Any], deletes: list[str]
    ) -> None:
        store.commit(upserts, deletes)
        while events := store.outbox():
            at = time.time()
            futures = [
                producer.send(self._topic.name, key=event.key, value=event.value, headers=list(event.headers))
                for event in events
            ]
            for event, future in zip(events, futures, strict=True):
                self._note(journal, "change", event.key.decode(), future, at)
            store.published(events[-1].id)

    def _send(
        self,
        producer: Any,
        journal: Any,
        kind: Literal["dead", "ignored"],
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
    ) -> None:
        at = time.time()
        partition = self._draw.choice(sorted(producer.partitions_for(self._topic.name)))
        future = producer.send(self._topic.name, key=key, value=value, headers=list(headers), partition=partition)
        self._note(journal, kind, None, future, at)

    def _note(
        self, journal: Any, kind: Literal["change", "dead", "ignored"], user: str | None, future: Any, at: float
    ) -> None:
        told = future.get(60)
        journal.write(json.dumps(asdict(Sent(kind, user, told.partition, told.offset, at))) + "\n")
        journal.flush()
        self.sent += 1


def read_journal(journal: Path) -> Sequence[Sent]:
    """Every line of a journal."""
    return list(_lines(journal))


def _lines(journal: Path) -> Iterator[Sent]:
    with journal.open() as lines:
        for line in lines:
            yield Sent(**json.loads(line))
