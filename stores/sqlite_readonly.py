"""Looking at a SQLite file as it lies: no lock is taken, and no file is made, changed or removed beside it.

An ordinary reader of a file in WAL mode makes two files and takes them away again, and what a writer that was killed
left in them it moves into the file. Here both are read as they are. Nobody is kept from writing meanwhile, so what was
seen counts only if `stamps` are the same before and after.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

Stamp = tuple[int, int, int]


def connect(path: Path) -> sqlite3.Connection:
    """A connection that can but read.

    Raises:
        sqlite3.OperationalError: the file is not there, or cannot be read.
    """
    _, log = stamps(path)
    # A log that is there is read without locks, which are written beside it, and "exclusive" keeps its index in memory.
    # Where none is, one would be made, unless the file counts as one that nobody ever writes.
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
    """What changes of the file and its log when somebody writes, or puts another in its place."""
    return _stamp(path), _stamp(path.with_name(path.name + "-wal"))


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
