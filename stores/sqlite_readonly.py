"""Reads a SQLite file without a trace: takes no lock, and makes, changes or removes no file beside it.

An ordinary reader of a file in WAL mode makes two files and removes them again, and moves into the file what a killed
writer left in them. Here both are read as they are. Others may write in the meantime, so a result counts only if
`stamps` are the same before and after.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

Stamp = tuple[int, int, int]


def connect(path: Path) -> sqlite3.Connection:
    """A connection that can only read.

    Raises:
        sqlite3.OperationalError: the file is not there, or cannot be read.
    """
    _, log = stamps(path)
    # A log that exists is read without locks, which would be files, and "exclusive" keeps its index in memory.
    # Where there is no log, SQLite would make one, unless the file counts as immutable.
    how = "vfs=unix-none" if log is not None and log[1] else "immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&{how}", uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA locking_mode=EXCLUSIVE")
        db.execute("PRAGMA query_only=ON")
        db.execute("SELECT count(*) FROM sqlite_master")
    except BaseException:
        db.close()
        raise
    return db


def stamps(path: Path) -> tuple[Stamp | None, Stamp | None]:
    """The parts of the state of file and log that change when somebody writes or replaces the file."""
    return _stamp(path), _stamp(path.with_name(path.name + "-wal"))


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
