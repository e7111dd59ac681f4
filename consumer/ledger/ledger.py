"""Opening a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from consumer.errors import LedgerError
from consumer.ledger.asked import Asked
from consumer.ledger.cycles import Cycles
from consumer.ledger.intake import Intake
from consumer.ledger.tables import SCHEMA_VERSION, metadata, schema_version
from consumer.ledger.views import Views

_BUSY_SECONDS = 5.0  # shorter than any poll interval, so that a held lock cannot keep the listener from polling


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger by what is done with it. Safe to use from several threads and processes."""

    engine: Engine
    intake: Intake
    cycles: Cycles
    asked: Asked
    views: Views

    def close(self) -> None:
        """Give back the connections."""
        self.engine.dispose()


def open_ledger(url: str, *, create: bool = True) -> Ledger:
    """The ledger at an SQLAlchemy URL; where there is none, it is made, unless `create` is off.

    Raises:
        LedgerError: it cannot be opened, is not there, or another release made it.
    """
    file, shown = make_url(url).database, make_url(url).render_as_string(hide_password=True)
    if file and not create and not Path(file).exists():
        raise LedgerError(f"there is no ledger at {shown}: nothing has run here yet, or RETRAINER_STATE_DIR is another")
    try:
        if file:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_connection)
        event.listen(engine, "begin", _begin)
        metadata.create_all(engine)
        with engine.begin() as connection:
            found = connection.scalar(select(schema_version.c.version))
            if found is None:
                connection.execute(schema_version.insert().values(version=SCHEMA_VERSION))
    except (DatabaseError, OSError) as error:
        raise LedgerError(f"cannot open the ledger {shown}: {error}") from error
    if found not in {None, SCHEMA_VERSION}:
        raise LedgerError(f"the ledger {shown} has schema {found}, this release needs {SCHEMA_VERSION}")
    return Ledger(engine, Intake(engine), Cycles(engine), Asked(engine), Views(engine.execution_options(reading=True)))


def _prepare_connection(connection: Any, _record: object) -> None:
    """Transactions are ours to begin; the write-ahead log is flushed at every commit, so a commit survives a crash."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin(connection: Any) -> None:
    """A writer that took its lock late would fail instead of waiting, so it takes it at once; a reader takes none."""
    reading = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
