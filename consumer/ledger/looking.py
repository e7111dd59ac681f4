"""A look into a ledger that leaves no trace, for commands that only report."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from consumer.database.address import shown
from consumer.errors import LedgerError
from consumer.ledger.ledger import Ledger, file_of, ledger_on, not_there, open_ledger
from stores.sqlite_readonly import connect, stamps

_Found = TypeVar("_Found")


def look(url: str, ask: Callable[[Ledger], _Found]) -> _Found:
    """What `ask` finds in the ledger at a URL. No file is changed or made, as long as no other process is at work.

    Where a service writes meanwhile, `ask` is called once more, on an ordinary reader's connection.

    Raises:
        NoLedger: the ledger is not there.
        OldLedger: an earlier release made the ledger.
        LedgerError: the ledger cannot be opened, or a later release made it.
    """
    file = file_of(url)
    if file is None:
        return _as_others_do(url, ask)
    if not file.exists():
        raise not_there(url)
    before = stamps(file)
    try:
        with closing(ledger_on(_engine(file), url)) as ledger:
            found = ask(ledger)
    except (DatabaseError, sqlite3.DatabaseError) as error:
        if stamps(file) != before:
            return _as_others_do(url, ask)
        raise LedgerError(f"cannot open the ledger {shown(url)}: {getattr(error, 'orig', None) or error}") from error
    return found if stamps(file) == before else _as_others_do(url, ask)


def _as_others_do(url: str, ask: Callable[[Ledger], _Found]) -> _Found:
    with closing(open_ledger(url, create=False)) as ledger:
        return ask(ledger)


def _engine(file: Path) -> Engine:
    engine = create_engine("sqlite://", creator=partial(connect, file), poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
