"""A pooler between us and PostgreSQL, such as PgBouncer, has to give each connection a session of its own.

A pooler that lends a session for a transaction or a statement only is refused: prepared statements, and all else that
belongs to a session, would meet another client's. Each transaction reports its session, and the session is checked in
each. A pooler gives itself away when a connection is made: the process id that it names for the session is made up.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from sqlalchemy import Engine

from consumer.errors import LedgerError

_SESSION, _POOLED = "session", "pooled"
_ROUNDS = 3
WAY_OUT = (
    "set pool_mode = session for this database in the pooler, "
    "or name the address of PostgreSQL itself in RETRAINER_LEDGER__URL"
)


def note_session(connection: Any, record: Any) -> None:
    """Remember the session of a new connection; a listener of SQLAlchemy's `connect`."""
    (session,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    record.info[_SESSION] = session
    record.info[_POOLED] = session != connection.info.backend_pid


def same_session(info: MutableMapping[str, Any], session: int) -> None:
    """Check that a transaction runs in the session of its connection.

    Raises:
        LedgerError: it runs in another session.
    """
    if info[_SESSION] != session:
        raise _lends("two transactions of one connection two sessions")


def check_pooler(engine: Engine) -> None:
    """Check that a pooler, where there is one, does not lend the session of a connection to others.

    Raises:
        LedgerError: it does.
    """
    if engine.dialect.name != "postgresql":
        return
    engine = engine.execution_options(reading=True)
    with engine.connect() as ours:
        if not ours.info[_POOLED]:
            return
        with engine.connect() as other:
            if other.info[_SESSION] == ours.info[_SESSION]:
                raise _lends("two connections one session")
        # The other connection gets the session that was free last: ours, if the pooler may lend it.
        for _ in range(_ROUNDS):
            with ours.begin():
                pass
            with engine.connect() as other, other.begin(), ours.begin():
                pass


def in_words(reason: str) -> str:
    """A pooler's message, with the way out where it lets no transaction through, or has no session left."""
    if "query_wait_timeout" in reason:
        return f"{reason}: the pooler has no session free; give it room for ten of each instance (default_pool_size)"
    return f"{reason}; {WAY_OUT}" if "statement pooling mode" in reason else reason


def _lends(what: str) -> LedgerError:
    return LedgerError(
        f"a pooler between us and PostgreSQL gives {what}, as PgBouncer does in transaction mode; the ledger needs "
        f"sessions of its own: {WAY_OUT}"
    )
