"""How the tables of an earlier release become those of this one, step by step, with Alembic's operations.

`schema_version` in the ledger is the one word on where it stands: earlier releases read it too, and refuse what is
newer than they are. A table or column that a release has had is never changed here but by a step of its own, and
`schema_1` and those after it, run from nothing, make exactly the tables of `consumer.database.tables`.

Only a ledger that is not up to date needs this package, so it is imported then: Alembic costs memory.
"""

from __future__ import annotations

from importlib import import_module

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, update

from consumer.database.tables import SCHEMA_VERSION, schema_version


def migrate(connection: Connection, found: int, wanted: int = SCHEMA_VERSION) -> None:
    """Bring the tables from schema `found` to `wanted`, all in the transaction of `connection`; 0 is nothing at all."""
    operations = Operations(MigrationContext.configure(connection))
    for number in range(found + 1, wanted + 1):
        import_module(f"{__name__}.schema_{number}").upgrade(operations)
    connection.execute(update(schema_version).values(version=wanted))
