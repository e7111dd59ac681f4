"""Users and labels become pending. This is most of what ingestion writes, so the statements are prepared once.

SQLAlchemy writes the statements, and the driver gets plain values: sending each row through SQLAlchemy costs more than
the database needs to store it. Many rows share a statement, as each statement takes the interpreter's lock from the
thread that fetches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, case, false, null

from consumer.changes.kinds import Kind
from consumer.changes.portions import Figures, Portion, keep, open_portion
from consumer.database.dialect import by_position, greatest, least, upsert_in
from schemas.events import Operation

if TYPE_CHECKING:
    from consumer.changes.change import KeyChange

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
_PLACES = (1, 8, 64, _TOGETHER)
"""Of keys in a statement: few sizes, as each statement is kept."""


def store_changes(
    connection: Connection, kind: Kind, changed: Mapping[str, KeyChange], now: float, since: float | None = None
) -> None:
    """Make users or labels pending, or add to what is pending of them, in the connection's transaction.

    Of events that arrived between `since` and `now` each counts as no fresher than the first, and as no older than the
    last. `since` is `now` where it is None.
    """
    if not changed:
        return
    since = now if since is None else min(since, now)  # a clock may have been set back
    portion = open_portion(connection, kind)
    keys = sorted(changed)  # as the primary key is, so that rows of the same page come one after another
    figures = portion.figures.with_more(_added(connection, kind, portion, keys, changed, (since, now)))
    engine = connection.dialect.name
    alone = len(keys) % _TOGETHER
    if alone:
        rows = [_row(portion.number, key, changed[key], since, now) for key in keys[:alone]]
        connection.exec_driver_sql(_statement(engine, kind, 1), rows)
    for at in range(alone, len(keys), _TOGETHER):
        some = (_row(portion.number, key, changed[key], since, now) for key in keys[at : at + _TOGETHER])
        connection.exec_driver_sql(_statement(engine, kind, _TOGETHER), tuple(chain.from_iterable(some)))
    keep(connection, kind, portion.number, figures)


def _row(portion: int, key: str, change: KeyChange, since: float, now: float) -> tuple[Any, ...]:
    """A change as the parameters of `_statement`."""
    return (
        portion,
        key,
        _DELETE if change.operation is Operation.DELETE else _UPSERT,
        change.events,
        change.first,
        change.last,
        change.first_event_at,
        change.last_event_at,
        since,  # by our clock: the times that a producer sets make no change older or fresher
        now,
    )


def _added(
    connection: Connection,
    kind: Kind,
    portion: Portion,
    keys: Sequence[str],
    changed: Mapping[str, KeyChange],
    arrived: tuple[float, float],
) -> Figures:
    """What these changes add to the figures of a portion, before they are stored."""
    known, tried = _known(connection, kind, portion, keys)
    first = min(change.first_event_at for change in changed.values())
    last = max(change.last_event_at for change in changed.values())
    return Figures(len(keys) - known, len(keys) - known + tried, first, last, *arrived)


def _known(connection: Connection, kind: Kind, portion: Portion, keys: Sequence[str]) -> tuple[int, int]:
    """How many of these keys are in a portion already, and how many of those are tried, by an index."""
    if not portion.figures.rows:
        return 0, 0
    engine, known, tried = connection.dialect.name, 0, 0
    for at in range(0, len(keys), _TOGETHER):
        some = list(keys[at : at + _TOGETHER])
        # A server gets one list, and plans one statement. SQLite has no lists: the last key fills the places.
        places = next(size for size in _PLACES if size >= len(some))
        filled = (*some, *[some[-1]] * (places - len(some)))
        given = (portion.number, some) if engine == "postgresql" else (portion.number, *filled)
        counted = connection.exec_driver_sql(_counting(engine, kind, places), given).one()
        known, tried = known + counted[0], tried + counted[1]
    return known, tried


@cache
def _counting(engine: str, kind: Kind, keys: int) -> str:
    """The statement that counts how many of `keys` keys are in a portion, and tried, in a driver's words."""
    count = f"SELECT count(*), coalesce(sum(CASE WHEN tried THEN 1 ELSE 0 END), 0) FROM {kind.changes.name}"  # noqa: S608
    if engine == "postgresql":
        return f"{count} WHERE portion = %s AND {kind.key.name} = ANY(%s)"
    return f"{count} WHERE portion = ? AND {kind.key.name} IN ({', '.join('?' * keys)})"


@cache
def _statement(engine: str, kind: Kind, rows: int) -> str:
    """The upsert of so many rows, with portion, key and `_BESIDE_KEY` of each as parameters, in a driver's words."""
    new = upsert_in(engine, kind.changes).inline()  # nothing is to be given back
    columns = ("portion", kind.key.name, *_BESIDE_KEY)
    row = dict.fromkeys(columns, None) | {"tried": false()}
    merged = new.values([row] * rows).on_conflict_do_update(
        index_elements=list(kind.changes.primary_key), set_=later(kind, new.excluded)
    )
    compiled: Any = merged.compile(dialect=by_position(engine))
    assert compiled.positiontup == [f"{name}_m{number}" for number in range(rows) for name in columns]
    return str(compiled)


def later(kind: Kind, new: Any) -> dict[str, Any]:
    """What becomes of a row when its user or label has changed again; no cycle has tried or learned that change."""
    old = kind.changes.c
    return {
        "operation": new.operation,
        "events": old.events + new.events,
        "last_position": new.last_position,
        "first_event_at": least(old.first_event_at, new.first_event_at),
        "last_event_at": greatest(old.last_event_at, new.last_event_at),
        "fresh_since": case((old.tried, new.fresh_since), else_=least(old.fresh_since, new.fresh_since)),
        # Of an untried row it never goes back, even when a clock is set back: nor does the latest of a portion.
        "received_at": case((old.tried, new.received_at), else_=greatest(old.received_at, new.received_at)),
        "tried": false(),
        "learned_by": null(),
    }
