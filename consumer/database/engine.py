"""The ledger's database connections: how long they wait, when they lock, what survives a crash.

One writer at a time, on both engines: a transaction that may write takes the write lock with its first statement. So
it sees other transactions whole, and there is no deadlock and nothing to retry. On SQLite that is the lock of the file,
on PostgreSQL an advisory lock of the transaction, one for each schema. Readers take no lock, and see one moment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from consumer.database.address import secured
from consumer.database.pooler import note_session, same_session
from consumer.database.transactions import BUSY_SECONDS, beginning

_CONNECTING: dict[str, Any] = {
    "connect_timeout": 5,
    "application_name": "retrainer",
    # A server whose machine is gone.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}


_PREPARED = 16
"""Statements that a connection to a file keeps prepared, of some kilobytes each: a batch of events has half as many."""


def make_engine(url: str) -> Engine:
    """An engine whose transactions take the write lock at once, unless they were begun by `reading`."""
    address = make_url(url)
    return _postgresql(address) if address.get_backend_name() == "postgresql" else _sqlite(address)


def reading(engine: Engine) -> AbstractContextManager[Connection]:
    """A transaction that only reads: it takes no lock and sees one moment."""
    snapshot = {"postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}}
    return engine.execution_options(reading=True, **snapshot.get(engine.dialect.name, {})).begin()


def _sqlite(address: URL) -> Engine:
    arguments = {"timeout": BUSY_SECONDS, "cached_statements": _PREPARED}
    engine = create_engine(address, connect_args=arguments)
    event.listen(engine, "connect", _prepare_file)
    event.listen(engine, "begin", _begin_on_file)
    event.listen(engine, "handle_error", _throw_away)
    return engine


def _prepare_file(connection: Any, _record: object) -> None:
    """Begin transactions ourselves, survive a crash with what is committed, and keep little of the file in memory."""
    connection.isolation_level = None
    cursor = connection.cursor()
    # Of several who open a new file at once SQLite refuses some here without waiting.
    _unless_busy_for_long(cursor.execute, "PRAGMA journal_mode=WAL")
    # Every connection has a cache of its own, of 2 MB by default; the operating system has the same pages once for all.
    cursor.execute("PRAGMA cache_size=-256")
    cursor.execute("PRAGMA synchronous=FULL")  # a commit flushes the write-ahead log
    cursor.close()


_unless_busy_for_long = Retrying(
    retry=retry_if_exception(lambda error: "locked" in str(error)),
    wait=wait_random(0, 0.1),
    stop=stop_after_delay(BUSY_SECONDS),
    reraise=True,
)


def _begin_on_file(connection: Connection) -> None:
    """Take a writer's lock at once: taken later, it would fail instead of waiting. A reader takes none."""
    connection.exec_driver_sql("BEGIN" if _only_reads(connection) else "BEGIN IMMEDIATE")


def _throw_away(context: Any) -> None:
    """Open a connection again that failed on a full or read-only disk: it stays broken when the disk is mended."""
    failed = str(context.original_exception)
    context.is_disconnect = any(sign in failed for sign in ("readonly", "disk I/O", "unable to open", "disk is full"))
    cursor = getattr(context.execution_context, "cursor", None)
    if context.is_disconnect and cursor is not None:
        # The error holds the cursor, which keeps its connection open, and SQLite would open the next one alike.
        cursor.close()


def _postgresql(address: URL) -> Engine:
    """An engine of PostgreSQL. What the address says of timeouts and of connecting outranks our defaults."""
    options = str(address.query.get("options", ""))
    begin = {writes: beginning(options, writes=writes) for writes in (False, True)}
    arguments = {name: value for name, value in _CONNECTING.items() if name not in address.query}
    engine = create_engine(
        address.set(drivername="postgresql+psycopg"),
        # Options are said in each transaction instead; those of PGOPTIONS do not count.
        connect_args={**arguments, **secured(address, os.environ), "options": ""},
        pool_pre_ping=True,  # so a server that was restarted meanwhile is no trouble
    )
    event.listen(engine, "connect", note_session)
    event.listen(engine, "begin", lambda connection: _begin_on_server(connection, begin))
    return engine


def _begin_on_server(connection: Connection, begin: Mapping[bool, str]) -> None:
    """Take the lock of writers first: each statement after that sees what the writers before have committed."""
    said = connection.exec_driver_sql(
        begin[not _only_reads(connection)], execution_options={"no_parameters": True}
    ).scalar_one()
    same_session(connection.info, said)


def _only_reads(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("reading", False))
