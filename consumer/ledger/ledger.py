"""Opening a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, inspect, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError

from consumer.errors import LedgerError
from consumer.ledger.asked import Asked
from consumer.ledger.cycles import Cycles
from consumer.ledger.engine import make_engine, reading
from consumer.ledger.intake import Intake
from consumer.ledger.tables import SCHEMA_VERSION, metadata, schema_version
from consumer.ledger.views import Views


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
        engine = make_engine(url)
        found = _schema(engine)
        if found is None and create:
            metadata.create_all(engine)
            with engine.begin() as connection:
                connection.execute(insert(schema_version).values(version=SCHEMA_VERSION).on_conflict_do_nothing())
            found = SCHEMA_VERSION
    except (DatabaseError, OSError) as error:
        raise LedgerError(f"cannot open the ledger {shown}: {error}") from error
    if found != SCHEMA_VERSION:
        raise LedgerError(f"the ledger {shown} has schema {found}, this release needs {SCHEMA_VERSION}")
    return Ledger(engine, Intake(engine), Cycles(engine), Asked(engine), Views(engine))


def _schema(engine: Engine) -> int | None:
    """The version of the ledger's tables; None where there are none yet."""
    with reading(engine) as connection:
        if not inspect(connection).has_table(schema_version.name):
            return None
        return connection.scalar(select(schema_version.c.version))
