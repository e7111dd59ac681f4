"""The local store's own side: a commit and its events are one, and a published event is forgotten only when told so."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.events import Change, Operation, decode
from stores.errors import ContractError, StoreError
from stores.features import local_file
from stores.features.local import LocalFeatureStore
from tests.worlds import GROUP, World, names


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
    store.commit({})
    with sqlite3.connect(tmp_path / "store.db") as other:
        other.execute("CREATE TRIGGER refuse BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="disk full"):
        store.commit(World().rows(["u1"]))
    assert store.count() == 0


LOOKS: dict[str, Callable[[LocalFeatureStore], object]] = {
    "check": lambda store: store.check_contract(),
    "snapshot": lambda store: list(store.snapshot()),
    "read": lambda store: store.read(["u1"]),
    "count": lambda store: store.count(),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_looking_for_what_is_not_there_makes_nothing_and_says_what_to_set(
    look: Callable[[LocalFeatureStore], object], tmp_path: Path
) -> None:
    folder = tmp_path / "not mounted"
    with (
        closing(LocalFeatureStore(folder / "store.db", GROUP)) as store,
        pytest.raises(ContractError, match=r"no feature store at .*store\.db: .*RETRAINER_FEATURE_STORE__PATH"),
    ):
        look(store)
    assert store.outbox() == []
    assert not folder.exists()
    path = tmp_path / "store.db"
    with closing(LocalFeatureStore(path, GROUP)) as store:
        store.commit(World().rows(names(3)))
    before = path.read_bytes()
    with (
        closing(LocalFeatureStore(path, GROUP.model_copy(update={"version": 2}))) as other,
        pytest.raises(ContractError, match=r"no table listeners_2 \(it has listeners_1\): .*GROUP__NAME and __VERSION"),
    ):
        look(other)
    with closing(LocalFeatureStore(path, GROUP)) as store:
        look(store)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_what_is_no_store_is_told_in_words(look: Callable[[LocalFeatureStore], object], tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but text that is long enough to be taken for one " * 20)
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    for name, said in {"text": "file is not a database", "empty": "has no table", "folder": "cannot be read"}.items():
        with pytest.raises(ContractError, match=said):
            look(LocalFeatureStore(tmp_path / name, GROUP))
    assert (tmp_path / "empty").stat().st_size == 0


def test_a_column_that_is_missing_is_told_by_every_look(store: LocalFeatureStore, tmp_path: Path) -> None:
    """SQLite takes the quoted name of a missing column for a text, and gives it back as if it were the value."""
    store.commit(World().rows(names(3)))
    narrow = GROUP.model_copy(update={"primary_key": "listener"})
    with pytest.raises(
        ContractError, match="lacks listener in table listeners_1, which has habit, taste, user_id, year"
    ):
        LocalFeatureStore(tmp_path / "store.db", narrow).read(["u1"])


def test_a_writer_who_died_leaves_a_store_that_can_be_read(store: LocalFeatureStore, tmp_path: Path) -> None:
    """Its last commits lie in the file beside, which is copied here while it is open."""
    store.commit(World().rows(names(3)))
    (tmp_path / "copy").mkdir()
    for file in tmp_path.glob("store.db*"):
        shutil.copy(file, tmp_path / "copy" / file.name)
    with closing(LocalFeatureStore(tmp_path / "copy" / "store.db", GROUP)) as copy:
        assert copy.count() == 3


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the folder is mounted read-only: a database in WAL mode cannot be opened there."""
    connected = local_file._connected

    def cannot(path: Path, how: str) -> sqlite3.Connection:
        return connected(path if "immutable" in how else path / "nothing", how)

    monkeypatch.setattr(local_file, "_connected", cannot)


@pytest.mark.usefixtures("without_locks")
def test_a_store_in_a_folder_that_takes_no_locks_is_read_as_it_lies(tmp_path: Path) -> None:
    path, written = tmp_path / "store.db", World().rows(names(5000))
    with closing(LocalFeatureStore(path, GROUP)) as writer:
        writer.commit(written)
    with closing(LocalFeatureStore(path, GROUP)) as store:
        assert store.count() == 5000
        assert sum(len(rows.keys) for rows in store.snapshot()) == 5000
        np.testing.assert_array_equal(store.read(["u7"]).columns["taste"][0], written["u7"]["taste"])
        os.utime(path, ns=(1, 1))  # somebody wrote
        with pytest.raises(StoreError, match="was written while it was read"):
            store.read(["u7"])


def test_who_may_not_write_leaves_nothing_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of another owner beside it would keep its writer out."""
    path = tmp_path / "store.db"
    with closing(LocalFeatureStore(path, GROUP)) as writer:
        writer.commit(World().rows(names(3)))
        monkeypatch.setattr(os, "access", lambda *_: False)
        with closing(LocalFeatureStore(path, GROUP)) as beside:
            writer.commit({}, ["u0"])
            assert beside.count() == 2
    with closing(LocalFeatureStore(path, GROUP)) as alone:
        assert alone.count() == 2
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("without_locks")
def test_commits_that_nobody_can_see_there_are_not_left_out(store: LocalFeatureStore, tmp_path: Path) -> None:
    """The writer's file beside holds them; where that cannot be read, the rest is not the store."""
    store.commit(World().rows(names(3)))
    with pytest.raises(ContractError, match="unable to open database file"):
        LocalFeatureStore(tmp_path / "store.db", GROUP).count()


@pytest.mark.parametrize("nobody", [None, "", 7, float("nan"), b"u1"])
def test_a_key_that_names_nobody_is_not_written(store: LocalFeatureStore, nobody: Any) -> None:
    store.commit(World().rows(["u1"]))
    with pytest.raises(ContractError, match="is no user id"):
        store.commit({nobody: World().row()})
    with pytest.raises(ContractError, match="is no user id"):
        store.commit({}, [nobody])
    assert (store.count(), len(store.outbox())) == (1, 1)


def test_a_row_without_a_key_in_somebody_else_s_table_is_nobody(tmp_path: Path) -> None:
    columns = ", ".join(column.name for column in GROUP.columns)
    with closing(sqlite3.connect(tmp_path / "store.db")) as db, db:
        db.execute(f"CREATE TABLE listeners_1 (user_id, {columns})")
        for key in (None, "u1", b"u2", 2.5, 7, ""):
            db.execute("INSERT INTO listeners_1 VALUES (?, NULL, NULL, NULL)", (key,))
    with closing(LocalFeatureStore(tmp_path / "store.db", GROUP)) as store:
        (rows,) = store.snapshot()
    assert (rows.keys, rows.keyless) == (["u1", "7"], 4)
    assert all(len(blocks) == 2 for blocks in rows.columns.values())
