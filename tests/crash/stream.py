"""Commits that never stop: users and labels into their store, their events onto two topics, and a journal of them.

The journal is independent of everything that is tested: a line for each record, written when the broker has
acknowledged it, saying what it was and where it stands.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from kafka import KafkaProducer

from schemas.events import encode
from stores.features.local import LocalFeatureStore
from stores.labels.local import LocalLabelStore
from tests.crash.follows import LABELS, Follows
from tests.crash.topic import Kind, Sent, Topics
from tests.integration.topics import Topic
from tests.worlds import GROUP, World, names

FIRST_USERS = 300
_PAUSE = 0.08
_OTHER_GROUP = GROUP.model_copy(update={"name": "somebody_elses"})

Raw = tuple[bytes | None, bytes | None]
"""Key and value of a record."""

# Records that nobody can understand.
GARBAGE: tuple[Raw, ...] = (
    (b"u1", b"{no json"),
    (b"u1", b'{"featureGroupName": "listeners", "entry": {"name": "u1"}}'),
    (b"u1", b"\xff\xfe\x00"),
    (b"", None),
    (b"\xff", None),
)
LABEL_GARBAGE: tuple[Raw, ...] = (
    (b"u1", b"{no json"),
    (b"u1", b'{"featureGroupName": "follows", "entry": {"user_id": "u1"}}'),
    (b"u1", b'{"featureGroupName": "follows", "entry": {"user_id": "u1", "other_user_id": ""}}'),
    (b"u1", None),
    (b'["u1"]', None),
)
# Sound records of somebody else: on the topic of labels those of users are such.
FOREIGN: Raw = (b"u1", encode(_OTHER_GROUP, "u1"))
LABEL_FOREIGN: Raw = (b"u1", encode(GROUP, "u1"))


class Stream(threading.Thread):
    """Commits until it is told to stop.

    Args:
        topics: where the events go.
        store: file of the feature store, and of the labels.
        journal: file of the journal.
        seed: of what is committed.
    """

    def __init__(self, topics: Topics, store: Path, journal: Path, seed: int) -> None:
        super().__init__(name="stream", daemon=True)
        self.sent = 0
        self.failure: Exception | None = None
        self._topics = topics
        self._store = store
        self._journal = journal
        self._draw = random.Random(seed)
        self._world = World(seed)
        self._follows = Follows(self._draw)
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
        pool = names(FIRST_USERS)
        with (
            closing(LocalFeatureStore(self._store, GROUP)) as users,
            closing(LocalLabelStore(self._store, LABELS)) as labels,
            closing(KafkaProducer(bootstrap_servers=self._topics.users.broker, acks="all", linger_ms=0)) as producer,
            self._journal.open("a") as journal,
        ):
            teller = Teller(self._topics, producer, journal, self._draw)
            with self._turn:
                users.commit(self._world.rows(pool))
                labels.commit(self._follows.first(pool))
                self._relay(users, labels, teller)
            while not self._stopping.wait(_PAUSE * 2 * self._draw.random()):
                with self._turn:
                    self._commit(users, labels, pool)
                    self._relay(users, labels, teller)
                    if self._draw.random() < 0.2:
                        teller.tell_something_else()
                    self.sent = teller.told

    def _commit(self, users: LocalFeatureStore, labels: LocalLabelStore, pool: list[str]) -> None:
        if self._draw.random() < 0.1:
            pool.append(f"u{len(pool)}")  # a newcomer
        chosen = self._draw.sample(pool[-40:] if self._draw.random() < 0.5 else pool, self._draw.randint(1, 4))
        deleted = [chosen.pop()] if self._draw.random() < 0.15 else []
        users.commit(self._world.rows(chosen), deleted)
        labels.commit(*self._follows.some(pool))

    def _relay(self, users: LocalFeatureStore, labels: LocalLabelStore, teller: Teller) -> None:
        teller.relay(self._topics.users, "user", users)
        teller.relay(self._topics.labels, "label", labels)


class Teller:
    """Sends records and writes down what the broker said of each."""

    def __init__(self, topics: Topics, producer: Any, journal: TextIO, draw: random.Random) -> None:
        self.told = 0
        self._topics = topics
        self._producer = producer
        self._journal = journal
        self._draw = draw

    def relay(self, topic: Topic, kind: Kind, store: LocalFeatureStore | LocalLabelStore) -> None:
        """Publish the outbox of a store."""
        while events := store.outbox():
            at = time.time()
            futures = [
                self._producer.send(topic.name, key=event.key, value=event.value, headers=list(event.headers))
                for event in events
            ]
            for event, future in zip(events, futures, strict=True):
                self._note(kind, event.key.decode(), topic, future, at)
            store.published(events[-1].id)

    def tell_something_else(self) -> None:
        """A record that nobody can understand, or one of somebody else, on either topic."""
        of_users = self._draw.random() < 0.5
        topic = self._topics.users if of_users else self._topics.labels
        if self._draw.random() < 0.5:
            self._send("dead", topic, self._draw.choice(GARBAGE if of_users else LABEL_GARBAGE))
        else:
            self._send("ignored", topic, FOREIGN if of_users else LABEL_FOREIGN)

    def _send(self, kind: Kind, topic: Topic, record: Raw) -> None:
        at, (key, value) = time.time(), record
        partition = self._draw.choice(sorted(self._producer.partitions_for(topic.name)))
        future = self._producer.send(topic.name, key=key, value=value, partition=partition)
        self._note(kind, None, topic, future, at)

    def _note(self, kind: Kind, key: str | None, topic: Topic, future: Any, at: float) -> None:
        said = future.get(60)
        sent = Sent(kind, key, topic.name, said.partition, said.offset, at)
        self._journal.write(json.dumps(asdict(sent)) + "\n")
        self._journal.flush()
        self.told += 1


def read_journal(journal: Path) -> Sequence[Sent]:
    """Every line of a journal."""
    return list(_lines(journal))


def _lines(journal: Path) -> Iterator[Sent]:
    with journal.open() as lines:
        for line in lines:
            yield Sent(**json.loads(line))
