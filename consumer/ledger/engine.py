"""The ledger's database connections: how long they wait, when they lock, what survives a crash."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

_BUSY_SECONDS = 5.0  # shorter than any poll interval, so that a held lock cannot keep the listener from polling


def make_engine(url: str) -> Engine:
    """An engine whose transactions take the write lock at once, unless they were begun by `reading`."""
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def reading(engine: Engine) -> AbstractContextManager[Connection]:
    """A transaction that only reads: it takes no lock and sees one moment."""
    return engine.execution_options(reading=True).begin()


def _prepare_connection(connection: Any, _record: object) -> None:
    """Transactions are ours to begin; the write-ahead log is flushed at every commit, so a commit survives a crash."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin(connection: Any) -> None:
    """A writer that took its lock late would fail instead of waiting, so it takes it at once; a reader takes none."""
    only_reads = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if only_reads else "BEGIN IMMEDIATE")
