"""Reads the local feature store's file without creating anything: no folder, no file, no table.

The file is in WAL mode, so a reader needs two files beside it. The connection is opened for writing, though not for
creating: SQLite removes the two files when the last connection of that kind closes, and a read-only connection would
leave them behind. A process that may not write the file or its folder shares the two files of a writer elsewhere. Where
no writer has made them, the file is read without locks, and the result counts only if nobody wrote during the read.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stores.errors import ContractError, StoreError
from stores.sqlite_readonly import connect as untouched_file

BUSY_SECONDS = 30.0
OUTBOXES = frozenset({"outbox", "label_outbox"})
"""Tables of no group: change events of users and of labels wait there to be published."""

_ROWS = 4096


class Table(NamedTuple):
    """A group's table: its columns, and the settings that name the table and the columns."""

    name: str
    columns: tuple[str, ...]
    named_by: str
    columns_named_by: str


class Reading:
    """A connection that reads one table; the table and its columns exist.

    Args:
        path: the file.
        table: the table.
        untouched: leave no trace; a result may then mix two moments, where somebody writes during the read.

    Raises:
        ContractError: the file, the table or a column is missing, or the file is no store; the message says which.
    """

    def __init__(self, path: Path, table: Table, *, untouched: bool = False) -> None:
        self._path = path
        self._unlocked: _Stamp | None = None
        stamp = _stamp(path)
        if stamp is None:
            raise ContractError(
                f"there is no feature store at {path}: is its volume mounted, and has its writer run? "
                "RETRAINER_FEATURE_STORE__PATH names the file"
            )
        try:
            self._db = untouched_file(path) if untouched else self._opened(stamp)
            _check(self._db, path, table)
        except sqlite3.DatabaseError as error:
            raise ContractError(f"{path} cannot be read as a feature store: {error}") from None

    def all(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        rows = self._db.execute(query, values).fetchall()
        self._nobody_wrote()
        return rows

    def batches(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query in batches, all of one moment."""
        self._db.execute("BEGIN")
        cursor = self._db.execute(query)
        while rows := cursor.fetchmany(_ROWS):
            self._nobody_wrote()
            yield rows

    def close(self) -> None:
        """Close the connection. Closing twice is fine."""
        self._db.close()

    def _opened(self, stamp: _Stamp) -> sqlite3.Connection:
        beside = _stamp(self._path.with_name(self._path.name + "-wal"))
        alone = beside is None or not beside.size
        if not alone or os.access(self._path, os.W_OK):
            try:
                return _connected(self._path, "mode=rw")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_CANTOPEN or not alone:
                    raise
        self._unlocked = stamp
        return _connected(self._path, "mode=ro&immutable=1")

    def _nobody_wrote(self) -> None:
        if self._unlocked is not None and _stamp(self._path) != self._unlocked:
            raise StoreError(f"{self._path} was written while it was read from a folder that takes no locks; try again")


class _Stamp(NamedTuple):
    """The parts of a file's state that change when somebody writes or replaces the file."""

    number: int
    size: int
    written_ns: int


def quoted(name: str) -> str:
    """An SQL identifier, whatever characters the feature group's name has."""
    return '"' + name.replace('"', '""') + '"'


def _stamp(path: Path) -> _Stamp | None:
    """None where there is no such file."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ContractError(f"the feature store {path} cannot be read: {error.strerror}") from None
    return _Stamp(found.st_ino, found.st_size, found.st_mtime_ns)


def _connected(path: Path, how: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_SECONDS, isolation_level=None)
    try:
        db.execute("PRAGMA query_only=ON")
        db.execute("SELECT count(*) FROM sqlite_master")  # SQLite opens the file at the first query
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection, path: Path, table: Table) -> None:
    """Check that the table and its columns exist: SQLite takes the quoted name of a missing column for a text."""
    found = {row[1] for row in db.execute(f"PRAGMA table_info({quoted(table.name)})")}
    if not found:
        others = sorted(row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        has = ", ".join(name for name in others if name not in OUTBOXES and not name.startswith("sqlite_")) or "none"
        said = f"has no table {table.name} (it has {has}): {table.named_by} name it"
    elif lacking := [name for name in table.columns if name not in found]:
        said = (
            f"lacks {', '.join(lacking)} in table {table.name}, which has {', '.join(sorted(found))}: "
            f"{table.columns_named_by} name them"
        )
    else:
        return
    db.close()
    raise ContractError(f"the feature store {path} {said}")
