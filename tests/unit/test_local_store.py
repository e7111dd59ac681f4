"""The local store's own side: a commit and its events are one, and a published event is forgotten only when told so."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from schemas.events import Change, Operation, decode
from tests.worlds import GROUP, World, names
from trainer.features.local import LocalFeatureStore


@pytest.fixture
def store(tmp_path: Path) -> LocalFeatureStore:
    return LocalFeatureStore(tmp_path / "store.db", GROUP)


def test_every_change_leaves_an_event_that_the_listener_understands(store: LocalFeatureStore) -> None:
    store.commit(World().rows(["u1", "spotify:user:2"]), ["u3"])
    events = [decode(GROUP, event.key, event.value, dict(event.headers)) for event in store.outbox()]
    assert events == [
        Change("u1", Operation.UPSERT),
        Change("spotify:user:2", Operation.UPSERT),
        Change("u3", Operation.DELETE),
    ]


def test_events_stay_until_they_are_said_to_be_published(store: LocalFeatureStore) -> None:
    store.commit(World().rows(names(5)))
    first = store.outbox(limit=2)
    assert [event.key for event in first] == [b"u0", b"u1"]
    assert store.outbox(limit=2) == first
    store.published(first[-1].id)
    assert [event.key for event in store.outbox()] == [b"u2", b"u3", b"u4"]


def test_a_commit_that_fails_leaves_neither_rows_nor_events(store: LocalFeatureStore, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as other:
        other.execute("CREATE TRIGGER refuse BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="disk full"):
        store.commit(World().rows(["u1"]))
    assert store.count() == 0
