"""Making users and labels pending. This is most of what ingestion writes, so the statements are prepared once.

SQLAlchemy writes the statements, and the driver is handed the values as they are: to have each row go through
SQLAlchemy as well costs more than the database takes to store it. Many rows share a statement, for each statement takes
the interpreter's lock from whoever fetches meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Dialect, case, false, literal_column
from sqlalchemy.dialects import postgresql, sqlite

from consumer.ledger.dialect import greatest, least, upsert_in
from consumer.ledger.kinds import Kind
from consumer.ledger.tables import PENDING
from schemas.events import Operation

if TYPE_CHECKING:
    from consumer.ledger.batch import KeyChange

_UPSERT, _DELETE = Operation.UPSERT.value, Operation.DELETE.value  # looked up once: an enum is slow at it
_BESIDE_KEY = (
    "operation",
    "events",
    "first_position",
    "last_position",
    "first_event_at",
    "last_event_at",
    "fresh_since",
    "received_at",
)
_TOGETHER = 500


def store_changes(connection: Connection, kind: Kind, changed: Mapping[str, KeyChange], now: float) -> None:
    """Make users or labels pending, or add to what is pending of them, in the connection's transaction."""
    if not changed:
        return
    rows = []
    for key in sorted(changed):  # as the primary key is, so that rows of the same page come one after another
        change = changed[key]
        first_at = change.first_event_at
        rows.append(
            (
                key,
                _DELETE if change.operation is Operation.DELETE else _UPSERT,
                change.events,
                change.first,
                change.last,
                first_at,
                change.last_event_at,
                now,  # by our clock: what time a producer gives its events makes no change older or fresher
                now,
            )
        )
    engine = connection.dialect.name
    alone = len(rows) % _TOGETHER
    if alone:
        connection.exec_driver_sql(_statement(engine, kind, 1), rows[:alone])
    for at in range(alone, len(rows), _TOGETHER):
        connection.exec_driver_sql(_statement(engine, kind, _TOGETHER), tuple(chain(*rows[at : at + _TOGETHER])))


@cache
def _statement(engine: str, kind: Kind, rows: int) -> str:
    """The upsert of so many rows, with a place for the key and `_BESIDE_KEY` of each, in the words of a driver."""
    new = upsert_in(engine, kind.changes).inline()  # nothing is to be given back
    old = kind.changes.c
    columns = (kind.key.name, *_BESIDE_KEY)
    row = dict.fromkeys(columns, None) | {"cycle_id": literal_column(f"'{PENDING}'"), "tried": false()}
    merged = new.values([row] * rows).on_conflict_do_update(
        index_elements=[kind.key, old.cycle_id],
        set_={
            "operation": new.excluded.operation,
            "events": old.events + new.excluded.events,
            "last_position": new.excluded.last_position,
            "first_event_at": least(old.first_event_at, new.excluded.first_event_at),
            "last_event_at": greatest(old.last_event_at, new.excluded.last_event_at),
            "fresh_since": case(
                (old.tried, new.excluded.fresh_since), else_=least(old.fresh_since, new.excluded.fresh_since)
            ),
            "received_at": new.excluded.received_at,
            "tried": false(),
        },
    )
    compiled: Any = merged.compile(dialect=_DIALECTS[engine])
    assert compiled.positiontup == [f"{name}_m{number}" for number in range(rows) for name in columns]
    return str(compiled)


_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(),  # type: ignore[no-untyped-call]
    # By format it takes rows, and not dictionaries.
    "postgresql": postgresql.psycopg.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
}
