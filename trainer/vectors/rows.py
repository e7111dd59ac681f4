"""The raw rows of all users, in the order of their ids, a block at a time.

They come from an embedding space, where this machine has a current one, and else from the feature store. A tower takes
raw rows, so the space of the champion serves for any version of the same columns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Protocol

import numpy as np

from schemas.features import FeatureGroup
from stores.feature_store import FeatureStore, Floats
from stores.features.checks import check_rows
from stores.features.reading import read_users
from stores.vectors.blocks import BLOCK
from trainer.errors import TrainerError
from trainer.matrix.scaling import SMALLEST

_TRIES = 50
_Block = tuple[list[str], Floats]


class SpaceMoved(TrainerError):  # noqa: N818
    """The embedding space was recreated, or changed all the time, while it was read. Another try may help."""


class RowSource(Protocol):
    """All users' raw rows."""

    def count(self) -> int | None:
        """About how many users there are; None where that is not known."""

    def blocks(self) -> Iterator[_Block]:
        """Distinct ids in their order, and rows (users, width); sound ones only."""


class SpaceRows:
    """Reads the user matrix of a space beside a trainer that may write it, without its lock, so that no cycle waits.

    A trainer marks rows as dirty, in a transaction, before it writes them. So a block of rows is sound where none of
    them was dirty, and no transaction came in between, which SQLite's data_version tells. Dirty rows are read from the
    feature store.
    """

    def __init__(self, folder: Path, group: FeatureGroup, store: Callable[[], FeatureStore]) -> None:
        self._folder = folder
        self._group = group
        self._store = store

    def count(self) -> int | None:
        """See RowSource."""
        with closing(self._connect()) as db:
            return int(db.execute("SELECT count(*) FROM users").fetchone()[0])

    def blocks(self) -> Iterator[_Block]:
        """See RowSource.

        Raises:
            SpaceMoved: the space is not the one any more that it was at the beginning.
        """
        opened = self._identity()
        with closing(self._connect()) as db:
            last: str | None = None
            while True:
                users, sound, raw = self._read(db, last)
                if not users:
                    break
                last = users[-1]
                if not sound.all():
                    users, raw = self._with_dirty(users, sound, raw)
                if users:
                    yield users, raw
        if self._identity() != opened:
            raise SpaceMoved(f"the embedding space {self._folder} was recreated while its rows were read; try again")

    def _read(self, db: sqlite3.Connection, last: str | None) -> tuple[list[str], np.ndarray[Any, Any], Floats]:
        """The users after `last`, which of their rows are sound, and the rows."""
        after = "WHERE key > ?" if last is not None else ""
        query = f"SELECT key, row FROM users {after} ORDER BY key LIMIT {BLOCK}"  # noqa: S608  (a constant)
        try:
            for _ in range(_TRIES):
                before = _version(db)
                found = db.execute(query, () if last is None else (last,)).fetchall()
                dirty = {row for (row,) in db.execute("SELECT row FROM dirty")}
                rows = np.array([row for _, row in found], dtype=np.int64)
                raw = self._rows(rows)
                if _version(db) == before:
                    return [key for key, _ in found], np.array([row not in dirty for row in rows.tolist()], bool), raw
        except (sqlite3.Error, OSError) as error:
            raise SpaceMoved(f"the embedding space {self._folder} cannot be read: {error}; try again") from error
        raise SpaceMoved(f"the embedding space {self._folder} changes all the time; try again later")

    def _rows(self, rows: np.ndarray[Any, Any]) -> Floats:
        width = self._group.width
        path = self._folder / "raw.f32"
        if not len(rows):
            return np.empty((0, width), np.float32)
        mapped = np.memmap(path, np.float32, mode="r")
        if (int(rows.max()) + 1) * width > len(mapped):
            raise SpaceMoved(f"{path} is shorter than its index says; try again")
        return np.array(mapped[: len(mapped) // width * width].reshape(-1, width)[rows])

    def _with_dirty(self, users: list[str], sound: np.ndarray[Any, Any], raw: Floats) -> _Block:
        """The block with its dirty users as the feature store has them; without those whom the store does not have."""
        dirty = [user for user, well in zip(users, sound.tolist(), strict=True) if not well]
        with closing(self._store()) as store:
            read = read_users(store, self._group, dirty, lambda _read: None)
        at = {user: number for number, user in enumerate(read.keys)}
        for number, user in enumerate(users):
            if not sound[number] and user in at:
                raw[number], sound[number] = read.raw[at[user]], True
        return [user for user, well in zip(users, sound.tolist(), strict=True) if well], raw[sound]

    def _connect(self) -> sqlite3.Connection:
        try:
            return sqlite3.connect(f"{(self._folder / 'index.db').absolute().as_uri()}?mode=rw", uri=True)
        except sqlite3.OperationalError as error:
            raise SpaceMoved(f"the embedding space {self._folder} cannot be read: {error}; try again") from error

    def _identity(self) -> tuple[int, ...]:
        try:
            return tuple((self._folder / name).stat().st_ino for name in ("index.db", "raw.f32"))
        except OSError:
            return ()


class StoreRows:
    """Reads a snapshot of the feature store, whose order is its own, into a file, and gives it in the order of ids."""

    def __init__(self, store: Callable[[], FeatureStore], group: FeatureGroup) -> None:
        self._store = store
        self._group = group

    def count(self) -> int | None:
        """See RowSource."""
        with closing(self._store()) as store:
            return store.count()

    def blocks(self) -> Iterator[_Block]:
        """See RowSource."""
        keys: list[str] = []
        with TemporaryFile() as spool:
            with closing(self._store()) as store:
                for batch in store.snapshot(()):
                    part = check_rows(self._group, batch)
                    keys += part.keys
                    spool.write(part.raw.tobytes())
            spool.flush()
            if not keys:
                return
            raw = np.memmap(spool, np.float32, mode="r", shape=(len(keys), self._group.width))
            order = sorted(range(len(keys)), key=keys.__getitem__)
            for at in range(0, len(order), BLOCK):
                part_of = order[at : at + BLOCK]
                yield [keys[number] for number in part_of], np.array(raw[part_of])


def with_direction(users: Sequence[str], raw: Floats) -> _Block:
    """The users whose features say something; the tower gives all others one and the same vector."""
    told = np.asarray((np.abs(raw) >= SMALLEST).any(axis=1))
    return [user for user, well in zip(users, told.tolist(), strict=True) if well], raw[told]


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA data_version").fetchone()[0])
