"""A pooler between us and PostgreSQL, as PgBouncer is: it has to give a connection a session of its own.

One that does so for a transaction or a statement only, and lends the session to somebody else in between, is refused:
prepared statements, and whatever else belongs to a session, would be somebody else's. A transaction tells which session
it runs in, so this is looked at in each of them. A pooler is known by the process id that it names for a session when a
connection is made: it makes one up.
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
    """Keep which session a new connection has; a listener of SQLAlchemy's `connect`."""
    (session,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    record.info[_SESSION] = session
    record.info[_POOLED] = session != connection.info.backend_pid


def same_session(info: MutableMapping[str, Any], session: int) -> None:
    """Whether a transaction runs in the session of its connection.

    Raises:
        LedgerError: it runs in another one.
    """
    if info[_SESSION] != session:
        raise _lends("two transactions of one connection two sessions")


def check_pooler(engine: Engine) -> None:
    """Find out, where a pooler is between, whether it lends the session of a connection to others.

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
        # While the other is in a transaction it has the session that was free last, which is ours if it may be lent.
        for _ in range(_ROUNDS):
            with ours.begin():
                pass
            with engine.connect() as other, other.begin(), ours.begin():
                pass


def in_words(reason: str) -> str:
    """What a pooler said, with the way out where it lets no transaction through, or has no session left."""
    if "query_wait_timeout" in reason:
        return f"{reason}: the pooler has no session free; give it room for ten of each instance (default_pool_size)"
    return f"{reason}; {WAY_OUT}" if "statement pooling mode" in reason else reason


def _lends(what: str) -> LedgerError:
    return LedgerError(
        f"a pooler between us and PostgreSQL gives {what}, as PgBouncer does in transaction mode; the ledger needs "
        f"sessions of its own: {WAY_OUT}"
    )
