"""The user matrix: every user's raw row and direction, on disk, mapped into memory, changed in place.

    index.db         which row holds which user, and which rows changed since the pairs were last updated
    raw.f32          (capacity, width) raw rows, as the feature store gave them
    direction.f32    (capacity, width) the same scaled to unit length; a free row and a user without direction are zero

A row keeps its number as long as its user stays; rows of deleted users are used again. Rows are marked dirty before
they are written, and the index is updated after. So rows that a crash leaves half-written are dirty, and a repetition
of the same upserts and deletes ends in the same state.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.fault_points import Point, reached
from stores.feature_store import Floats
from stores.files import lengthen

Rows = NDArray[np.int64]

_GROWTH = 1.25
_SMALLEST = 1024
_KEYS_PER_QUERY = 500
_ROWS_AT_A_TIME = 16_384


def with_direction(directions: Floats, rows: Rows) -> NDArray[np.bool_]:
    """(len(rows),) which of `rows` have a direction."""
    found = np.empty(len(rows), dtype=bool)
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        part = slice(start, start + _ROWS_AT_A_TIME)
        found[part] = directions[rows[part]].any(axis=1)
    return found


class UserMatrix:
    """A user matrix in a folder. One process at a time may write it."""

    def __init__(self, folder: Path, width: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._width = width
        self._db = sqlite3.connect(folder / "index.db", isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS users (key TEXT PRIMARY KEY, row INTEGER UNIQUE NOT NULL) WITHOUT ROWID"
        )
        self._db.execute("CREATE TABLE IF NOT EXISTS dirty (row INTEGER PRIMARY KEY)")
        self._map(self._capacity_on_disk())

    @property
    def raw(self) -> Floats:
        """(capacity, width) raw rows; rows without a user are zero, in spaces of earlier releases leftovers."""
        return self._raw

    @property
    def directions(self) -> Floats:
        """(capacity, width) unit rows; rows without a user are zero."""
        return self._directions

    def __len__(self) -> int:
        """Number of users."""
        (count,) = self._db.execute("SELECT count(*) FROM users").fetchone()
        return int(count)

    def rows_of(self, keys: Sequence[str]) -> dict[str, int]:
        """The row of each of `keys` that has one."""
        found: dict[str, int] = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            part = keys[start : start + _KEYS_PER_QUERY]
            marks = ", ".join("?" * len(part))
            found.update(self._db.execute(f"SELECT key, row FROM users WHERE key IN ({marks})", part))  # noqa: S608
        return found

    def keys_of(self, rows: Rows) -> dict[int, str]:
        """The user of each of `rows` that has one."""
        found: dict[int, str] = {}
        for start in range(0, len(rows), _KEYS_PER_QUERY):
            part = [int(row) for row in rows[start : start + _KEYS_PER_QUERY]]
            marks = ", ".join("?" * len(part))
            found.update(self._db.execute(f"SELECT row, key FROM users WHERE row IN ({marks})", part))  # noqa: S608
        return found

    def users(self) -> tuple[list[str], Rows]:
        """All users in the order of their ids, and their rows."""
        keys, rows = [], array("q")
        for key, row in self._db.execute("SELECT key, row FROM users ORDER BY key"):
            keys.append(key)
            rows.append(row)
        return keys, np.array(rows, dtype=np.int64)

    def dirty(self) -> Rows:
        """Rows written or freed since `clean` was last called, in order."""
        return np.array([row for (row,) in self._db.execute("SELECT row FROM dirty ORDER BY row")], dtype=np.int64)

    def clean(self) -> None:
        """Mark no row as dirty; to be called once the pairs of the dirty rows are on disk."""
        self._db.execute("DELETE FROM dirty")

    def apply(
        self, keys: Sequence[str], raw: Floats, scale: Callable[[Floats], Floats], deletes: Iterable[str]
    ) -> None:
        """Set the rows of `keys` and free those of `deletes`; safe to repeat.

        Args:
            keys: distinct users, none of them in `deletes`.
            raw: (len(keys), width).
            scale: gives the directions (n, width) of raw rows (n, width); it is asked block by block.
            deletes: users to remove; unknown ones are ignored.
        """
        gone = self.rows_of(list(deletes))
        held = self.rows_of(keys)
        free = self._free_rows(len(keys) - len(held))
        placed = {key: held[key] if key in held else free.pop() for key in keys}
        rows = np.array([placed[key] for key in keys], dtype=np.int64)
        freed = np.array(list(gone.values()), dtype=np.int64)

        with self._db:
            self._db.execute("BEGIN")
            dirty = ((int(row),) for each in (rows, freed) for row in each)
            self._db.executemany("INSERT OR IGNORE INTO dirty VALUES (?)", dirty)
        if len(rows) and int(rows.max()) >= len(self._raw):
            self._grow(int(rows.max()) + 1)
        for start in range(0, max(1, len(rows)), _ROWS_AT_A_TIME):
            part = slice(start, start + _ROWS_AT_A_TIME)
            self._raw[rows[part]] = raw[part]
            reached(Point.EMBED_DIRTY)
            self._directions[rows[part]] = scale(raw[part])
        self._raw[freed] = 0.0
        self._directions[freed] = 0.0
        self._raw.flush()
        self._directions.flush()
        reached(Point.EMBED_UNINDEXED)
        with self._db:
            self._db.execute("BEGIN")
            self._db.executemany("DELETE FROM users WHERE key = ?", [(key,) for key in gone])
            self._db.executemany("INSERT OR REPLACE INTO users VALUES (?, ?)", placed.items())

    def close(self) -> None:
        """Close the files."""
        self._db.close()

    def _free_rows(self, count: int) -> list[int]:
        """`count` rows without a user, the lowest last, so that `pop` fills gaps first."""
        if count <= 0:
            return []
        taken = np.fromiter((row for (row,) in self._db.execute("SELECT row FROM users")), np.int64)
        is_free = np.ones(int(taken.max(initial=-1)) + 1 + count, dtype=bool)
        is_free[taken] = False
        free: list[int] = np.flatnonzero(is_free)[:count][::-1].tolist()
        return free

    def _capacity_on_disk(self) -> int:
        """Rows that both files have room for; after a crash while growing, the shorter file decides."""
        sizes = [path.stat().st_size if path.exists() else 0 for path in self._files()]
        return min(sizes) // (4 * self._width)

    def _grow(self, needed: int) -> None:
        self._map(max(_SMALLEST, needed, int(len(self._raw) * _GROWTH)))

    def _map(self, capacity: int) -> None:
        self._raw, self._directions = (self._mapped(path, capacity) for path in self._files())

    def _mapped(self, path: Path, capacity: int) -> np.memmap[Any, np.dtype[np.float32]]:
        size = 4 * self._width * max(capacity, 1)
        if not path.exists() or path.stat().st_size < size:
            lengthen(path, size)
        return np.memmap(path, dtype=np.float32, mode="r+", shape=(max(capacity, 1), self._width))

    def _files(self) -> tuple[Path, Path]:
        return self._folder / "raw.f32", self._folder / "direction.f32"
