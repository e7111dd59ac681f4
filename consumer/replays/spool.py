"""The spool of a replay: what it has read so far, in a file of the state folder. A killed replay goes on from there.

Each order has an SQLite file of its own. A chunk holds what was read since the last chunk, and how far that is, in one
transaction. The file is removed when the replay has come to its end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from consumer.changes.change import KeyChange
from consumer.dead_letters.letter import DeadLetter
from consumer.errors import StateFolderError
from consumer.ledger.batch import Batch
from consumer.positions import Partition, Position
from consumer.replays.stretch import Stretch

_TABLE = "CREATE TABLE IF NOT EXISTS parts (number INTEGER PRIMARY KEY, content BLOB NOT NULL)"
_RELEASE = 1


class Head(Struct):
    """The terms of a replay, as they were when it began."""

    replay_id: str
    begun_at: float
    start: int | None
    end: int | None
    topic_ids: dict[str, str | None]
    stretches: list[Stretch]
    missing: list[str] = []
    release: int = _RELEASE


class _Letter(Struct):
    """A dead letter. Its texts are bytes, as a producer may have sent what is no text."""

    topic: str
    number: int
    offset: int
    event_at: float
    key: bytes | None
    value: bytes | None
    headers: list[tuple[bytes, bytes | None]]
    stage: str
    reason: bytes


class _Chunk(Struct):
    at: float
    stretches: list[Stretch]
    missing: list[str]
    users: dict[str, KeyChange]
    labels: dict[str, KeyChange]
    dead: list[_Letter]
    ignored: list[tuple[str, int, str, int]]


class Spool:
    """The file of one replay, for one process.

    Raises:
        StateFolderError: the file cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute(_TABLE)
            self._contents = [content for (content,) in self._db.execute("SELECT content FROM parts ORDER BY number")]
        except sqlite3.Error as error:
            raise _unusable(path, error) from None
        self.head: Head | None = None
        """The replay that has begun; None where none has."""
        self.at = 0.0
        """When the last chunk was kept, seconds since the epoch."""
        self.begun_before = bool(self._contents)
        self._chunks: list[_Chunk] = []
        if self._contents:
            with suppress(msgspec.MsgspecError):  # of another release
                head = msgspec.msgpack.decode(self._contents[0], type=Head)
                self._chunks = [msgspec.msgpack.decode(content, type=_Chunk) for content in self._contents[1:]]
                self.head = head if head.release == _RELEASE else None
        self._contents.clear()
        if self.head is not None:
            self.at = self.head.begun_at
            for chunk in self._chunks:
                self.at, self.head.stretches, self.head.missing = chunk.at, chunk.stretches, chunk.missing

    def begin(self, head: Head) -> None:
        """Begin a replay, and remove what another one has left."""
        self.head, self.at, self._chunks = head, head.begun_at, []
        with self._writing():
            self._db.execute("DELETE FROM parts")
            self._insert(head)

    def keep(self, part: Batch, now: float) -> None:
        """Keep what was read since the last call, and how far the stretches of the head are now."""
        assert self.head is not None
        self.at = now
        with self._writing():
            self._insert(_chunk(part, self.head, now))

    def batches(self) -> Iterator[Batch]:
        """What an earlier process has kept, in order; once."""
        for chunk in self._chunks:
            yield _batch(chunk)
        self._chunks = []

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def remove(self) -> None:
        """Remove the file: the replay has come to its end."""
        self._db.close()
        for ending in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)

    def _insert(self, content: Head | _Chunk) -> None:
        self._db.execute("INSERT INTO parts (content) VALUES (?)", (msgspec.msgpack.encode(content),))

    def _writing(self) -> _Writing:
        return _Writing(self._db, self._path)


class _Writing:
    """A transaction. Errors name the file."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db, self._path = db, path

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        try:
            self._db.execute("ROLLBACK" if kind else "COMMIT")
        except sqlite3.Error as failed:
            raise _unusable(self._path, failed) from None
        if isinstance(error, sqlite3.Error):
            raise _unusable(self._path, error) from None


def _unusable(path: Path, error: sqlite3.Error) -> StateFolderError:
    return StateFolderError(
        f"cannot keep what is read in {path}: {error}; make the folder writable or make room, "
        "or set RETRAINER_STATE_DIR"
    )


def _chunk(part: Batch, head: Head, now: float) -> _Chunk:
    return _Chunk(
        at=now,
        stretches=head.stretches,
        missing=head.missing,
        users=part.users,
        labels=part.labels,
        dead=[_kept(letter) for letter in part.dead],
        ignored=[(topic, number, reason, count) for ((topic, number), reason), count in part.ignored.items()],
    )


def _batch(chunk: _Chunk) -> Batch:
    batch = Batch(received_at=chunk.at, users=chunk.users, labels=chunk.labels)
    batch.dead = [_letter(kept) for kept in chunk.dead]
    for topic, number, reason, count in chunk.ignored:
        batch.ignored[Partition(topic, number), reason] = count
    return batch


def _kept(letter: DeadLetter) -> _Letter:
    headers = [(name.encode(errors="surrogatepass"), value) for name, value in letter.headers]
    reason = letter.reason.encode(errors="surrogatepass")
    at, key, value = letter.position, letter.key, letter.value
    return _Letter(at.topic, at.partition, at.offset, letter.event_at, key, value, headers, letter.stage, reason)


def _letter(kept: _Letter) -> DeadLetter:
    headers = tuple((name.decode(errors="surrogatepass"), value) for name, value in kept.headers)
    position = Position(kept.topic, kept.number, kept.offset)
    reason = kept.reason.decode(errors="surrogatepass")
    return DeadLetter(position, kept.event_at, kept.key, kept.value, headers, kept.stage, reason)
