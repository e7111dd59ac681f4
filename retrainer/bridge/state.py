"""The memory of the bridge about a group: a hash for every user, and the compared commits.

One SQLite file. A user is marked before its event is sent. The mark is removed when the brokers have acknowledged the
event, and the hash, or the absence, is stored. So after a crash in between, the users with a possible event are known:
they get an event again, even if their row is as before by then, or gone.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrainer.bridge.errors import BridgeError
from retrainer.bridge.ports import Commits
from schemas.private import private_file

_VERSION = 1
_KEYS_PER_QUERY = 500  # SQLite allows 999 parameters on old builds
_BUSY_SECONDS = 30.0
_MARK = b""  # in place of a hash; no row has this hash

_TABLES = """
CREATE TABLE users (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, hash BLOB NOT NULL);
CREATE TABLE progress (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    publishes INTEGER NOT NULL,  -- whether the first comparison publishes what it finds
    commits TEXT,                -- those that were compared, newest first; null until the first comparison ended
    users INTEGER NOT NULL DEFAULT 0,  -- in the snapshot of the last comparison that ended
    compared_at REAL NOT NULL DEFAULT 0
);
"""


@dataclass(frozen=True, slots=True)
class Known:
    """A user as last stored; `id` numbers users from 1 without many gaps."""

    id: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of the bridge with its group."""

    publishes: bool
    """Whether the first comparison publishes the users that it finds."""
    commits: Commits | None
    """The compared commits; None before the first comparison ended."""
    users: int
    """Number of users at the end of the last comparison."""
    compared_at: float


class BridgeState:
    """The state of one group, for one thread."""

    def __init__(self, path: Path) -> None:
        """Open the state; a missing one is created.

        Raises:
            BridgeError: the file cannot be used, is damaged, or is of another release.
        """
        try:
            private_file(path)
        except OSError as error:
            raise BridgeError(f"{path}: cannot be used: {error.strerror}") from None
        try:
            self._db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            self._prepare(path)
        except sqlite3.OperationalError as error:
            raise BridgeError(f"{path}: cannot be used: {error}") from None
        except sqlite3.DatabaseError as error:
            raise BridgeError(f"{path}: not a state of the bridge, or damaged ({error}); move it away") from None

    def _prepare(self, path: Path) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")  # no commit is lost in a crash of the machine
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._db.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version={_VERSION}; COMMIT;")
        elif version != _VERSION:
            raise BridgeError(f"{path}: state of version {version}; this release reads version {_VERSION}")

    def progress(self) -> Progress | None:
        """The progress; None before the bridge has started."""
        row = self._db.execute("SELECT publishes, commits, users, compared_at FROM progress").fetchone()
        if row is None:
            return None
        publishes, commits, users, compared_at = row
        return Progress(bool(publishes), None if commits is None else tuple(json.loads(commits)), users, compared_at)

    def begin(self, *, publishes: bool) -> Progress:
        """Forget everything and start again."""
        with self._transaction():
            self._db.execute("DELETE FROM users")
            self._db.execute("DELETE FROM progress")
            self._db.execute("INSERT INTO progress (one, publishes) VALUES (1, ?)", (publishes,))
        return Progress(publishes, None, 0, 0.0)

    def count(self) -> int:
        """Number of known users."""
        (number,) = self._db.execute("SELECT count(*) FROM users").fetchone()
        return int(number)

    def find(self, keys: Sequence[str]) -> dict[str, Known]:
        """The known users of `keys`."""
        found: dict[str, Known] = {}
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            part = keys[start : start + _KEYS_PER_QUERY]
            query = f"SELECT key, id, hash FROM users WHERE key IN ({', '.join('?' * len(part))})"  # noqa: S608
            found.update((key, Known(number, digest)) for key, number, digest in self._db.execute(query, part))
        return found

    def mark(self, keys: Iterable[str]) -> None:
        """Mark these users before their events are sent, in one transaction."""
        self.store((key, _MARK) for key in keys)

    def store(self, hashes: Iterable[tuple[str, bytes]]) -> list[int]:
        """Store the users' hashes, in one transaction; returns their ids, in order."""
        statement = "INSERT INTO users (key, hash) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET hash = excluded.hash"
        with self._transaction():
            return [self._db.execute(f"{statement} RETURNING id", pair).fetchone()[0] for pair in hashes]

    def everybody(self, page: int) -> Iterator[list[tuple[int, str]]]:
        """Ids and keys of all users, in pages. Users of earlier pages may be removed in the meantime."""
        last = 0
        query = "SELECT id, key FROM users WHERE id > ? ORDER BY id LIMIT ?"
        while rows := self._db.execute(query, (last, page)).fetchall():
            last = rows[-1][0]
            yield rows

    def remove(self, ids: Iterable[int]) -> None:
        """Forget users, in one transaction."""
        with self._transaction():
            self._db.executemany("DELETE FROM users WHERE id = ?", ((number,) for number in ids))

    def compared(self, commits: Commits, at: float) -> None:
        """Store that a comparison with a snapshot of at least these commits has ended, and its changes are stored."""
        with self._transaction():
            self._db.execute(
                "UPDATE progress SET commits = ?, users = (SELECT count(*) FROM users), compared_at = ?",
                (json.dumps(commits), at),
            )

    def close(self) -> None:
        """Close the file. Closing twice is fine."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
