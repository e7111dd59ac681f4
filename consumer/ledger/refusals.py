"""Refused users and labels: no version has learned them, as their rows were unfit; with reason, times and count.

A cycle that settles its claim takes refused users and labels out of what is pending, since nothing can be learned from
them; they stay on record here (P1). They are read again when their row changes, and whenever a cycle reads everything.
When the row is sound then, or gone, and the cycle is settled, they leave the record.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Table,
    delete,
    exists,
    func,
    literal_column,
    select,
    update,
)

from consumer.changes.kinds import LABELS, USERS, Kind
from consumer.changes.portions import in_portion_of
from consumer.database.dialect import by_position, storable, upsert_in
from consumer.database.engine import reading
from consumer.database.tables import cycles
from schemas.cycle import CycleResult
from schemas.refused import LABEL, USER, Refused, What

_AT_ONCE = 10_000
_LONGEST = 500  # characters of a reason
_KINDS: dict[What, Kind] = {USER: USERS, LABEL: LABELS}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused user or label. Times are seconds since the epoch."""

    key: str
    """The user's id, or the label's `pair_text`."""
    reason: str
    """The last reason."""
    since: float
    """When a cycle first refused it."""
    last_at: float
    times: int
    """How many cycles have refused it."""
    cycle_id: str
    """The last cycle that refused it."""


class Refusals:
    """Reads what is refused."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def counts(self) -> dict[What, int]:
        """How many users and labels are refused."""
        with reading(self._engine) as connection:
            return {
                what: connection.scalar(select(func.count()).select_from(kind.refused)) or 0
                for what, kind in _KINDS.items()
            }

    def find(self, what: What, limit: int | None = None) -> list[Refusal]:
        """The `limit` users or labels that were refused last, the newest first."""
        table = _KINDS[what].refused
        key = _key(table)
        columns = key, table.c.reason, table.c.since, table.c.last_at, table.c.times, table.c.cycle_id
        newest = select(*columns).order_by(table.c.last_at.desc(), key).limit(limit)
        with reading(self._engine) as connection:
            return [Refusal(*row) for row in connection.execute(newest)]


def keep_refused(connection: Connection, cycle_id: str, refused: Refused, now: float) -> None:
    """Put on record the users and labels that a cycle refused, whatever becomes of the cycle."""
    for what, kind in _KINDS.items():
        _keep(connection, kind.refused, cycle_id, refused.of(what), now)


def forget_mended(connection: Connection, result: CycleResult, refused: Refused) -> None:
    """Remove from the record what a cycle has read and not refused: it is learned, or gone. Call before settling.

    Where the list of refused ones is not complete, all of them stay.
    """
    whole = {
        USERS: result.read is not None and result.read.whole,
        LABELS: result.labels is not None and result.labels.whole,
    }
    for what, kind in _KINDS.items():
        if not refused.complete(what):
            continue
        key = _key(kind.refused)
        by_others = kind.refused.c.cycle_id != result.cycle_id
        claimed = exists().where(in_portion_of(kind, result.cycle_id), kind.key == key)
        if whole[kind]:
            _note_mended(connection, kind, result.cycle_id, by_others & ~claimed)
        connection.execute(delete(kind.refused).where(*(by_others,) if whole[kind] else (by_others, claimed)))


def _note_mended(connection: Connection, kind: Kind, cycle_id: str, which: ColumnElement[bool]) -> None:
    """Note that a cycle which read everything has learned what no event has named since it was refused: a rollback of
    the cycle makes that pending."""
    mended = select(_key(kind.refused)).where(which)
    count = connection.scalar(select(func.count()).select_from(kind.refused).where(which)) or 0
    learned = kind.learned
    noted = update(learned).where(_key(learned).in_(mended)).values(cycle_id=cycle_id)
    if count and connection.execute(noted.where(learned.c.operation.is_not(None))).rowcount < count:
        connection.execute(update(cycles).where(cycles.c.cycle_id == cycle_id).values(forgotten=True))


def _keep(connection: Connection, table: Table, cycle_id: str, refused: Iterator[tuple[str, str]], now: float) -> None:
    statement = _statement(connection.dialect.name, table)
    while portion := list(islice(refused, _AT_ONCE)):
        rows = [(storable(key), storable(why[:_LONGEST]), now, now, 1, cycle_id) for key, why in portion]
        connection.exec_driver_sql(statement, rows)


@cache
def _statement(engine: str, table: Table) -> str:
    """The upsert of one row in a driver's words: a million rows are too many for SQLAlchemy."""
    new = upsert_in(engine, table).values(dict.fromkeys(table.columns.keys()))
    again = new.on_conflict_do_update(
        index_elements=[_key(table)],
        set_={
            "reason": new.excluded.reason,
            "last_at": new.excluded.last_at,
            "times": table.c.times + literal_column("1"),
            "cycle_id": new.excluded.cycle_id,
        },
    )
    compiled: Any = again.compile(dialect=by_position(engine))
    assert compiled.positiontup == table.columns.keys()
    return str(compiled)


def _key(table: Table) -> Column[str]:
    key: Column[str] = next(iter(table.primary_key.columns))
    return key
