"""Pending changes are the open portion of their kind; a cycle claims a portion whole, by one row, whatever its size.

The figures of a portion are kept beside the portion, in the transactions that change its rows: the ledger has one
writer at a time (`consumer.database.engine`), so figures may be read first and written then. Rows leave a portion only
all together. So each figure is carried on from what is added, and no row is looked at twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Connection, Select, delete, func, literal, select, update

from consumer.changes.kinds import KINDS, Kind
from consumer.database.tables import PENDING, RUNNING, cycles, portions


class Figures(NamedTuple):
    """The figures of a portion. A time is None where the portion holds no such change."""

    rows: int = 0
    untried: int = 0
    first_event_at: float | None = None
    last_event_at: float | None = None
    fresh_since: float | None = None
    """The earliest, of changes that no cycle has tried."""
    received_at: float | None = None
    """The latest, of changes that no cycle has tried."""

    def with_more(self, new: Figures) -> Figures:
        """The figures with those of added changes."""
        return Figures(
            self.rows + new.rows,
            self.untried + new.untried,
            earliest(self.first_event_at, new.first_event_at),
            latest(self.last_event_at, new.last_event_at),
            earliest(self.fresh_since, new.fresh_since),
            latest(self.received_at, new.received_at),
        )


class Portion(NamedTuple):
    """A portion by its number, with its figures."""

    number: int
    figures: Figures


_COLUMNS = [portions.c[name] for name in Figures._fields]


def earliest(*times: float | None) -> float | None:
    """The smallest time that is not None."""
    return min(_present(times), default=None)


def latest(*times: float | None) -> float | None:
    """The greatest time that is not None."""
    return max(_present(times), default=None)


def portion_of(connection: Connection, kind: Kind, cycle_id: str) -> Portion | None:
    """The portion of a kind that a cycle has claimed, or with `PENDING` the open one; None where there is none."""
    which = portions.c.kind == kind.name, portions.c.cycle_id == cycle_id
    row = connection.execute(select(portions.c.number, *_COLUMNS).where(*which)).one_or_none()
    return None if row is None else Portion(row[0], Figures(*row[1:]))


def figures_of(connection: Connection, kind: Kind, cycle_id: str) -> Figures:
    """The figures of the portion that a cycle has claimed, or of the open one; zeros where there is none."""
    found = portion_of(connection, kind, cycle_id)
    return Figures() if found is None else found.figures


def open_portion(connection: Connection, kind: Kind) -> Portion:
    """The open portion of a kind, opened where there is none."""
    if (found := portion_of(connection, kind, PENDING)) is not None:
        return found
    last = connection.scalar(select(func.max(portions.c.number)).where(portions.c.kind == kind.name)) or 0
    connection.execute(portions.insert().values(kind=kind.name, number=last + 1, cycle_id=PENDING))
    return Portion(last + 1, Figures())


def keep(connection: Connection, kind: Kind, number: int, figures: Figures) -> None:
    """Store the figures of a portion."""
    connection.execute(update(portions).where(*_is(kind, number)).values(figures._asdict()))


def claim(connection: Connection, cycle_id: str) -> None:
    """Give all that is pending to a cycle."""
    connection.execute(update(portions).where(portions.c.cycle_id == PENDING).values(cycle_id=cycle_id))


def reopen(connection: Connection, kind: Kind, number: int) -> None:
    """Make a claimed portion the open one; the kind must have no other."""
    connection.execute(update(portions).where(*_is(kind, number)).values(cycle_id=PENDING))


def close(connection: Connection, kind: Kind, number: int) -> None:
    """Remove a portion that has no rows any more."""
    connection.execute(delete(portions).where(*_is(kind, number)))


def left_over(connection: Connection, kind: Kind, running: str | None) -> list[int]:
    """The portions of cycles that have ended: their rows are settled, and may be deleted."""
    kept = [PENDING] if running is None else [PENDING, running]
    which = portions.c.kind == kind.name, portions.c.cycle_id.not_in(kept)
    return list(connection.scalars(select(portions.c.number).where(*which).order_by(portions.c.number)))


def recount(connection: Connection, kind: Kind, number: int) -> Figures:
    """The figures of a portion counted from its rows; the stored ones have to be the same."""
    of = kind.changes.c
    untried = of.tried.is_(False)
    every = select(func.count(), func.min(of.first_event_at), func.max(of.last_event_at)).where(of.portion == number)
    fresh = select(func.count(), func.min(of.fresh_since), func.max(of.received_at)).where(
        of.portion == number, untried
    )
    rows, first, last = connection.execute(every).one()
    fresh_rows, since, received = connection.execute(fresh).one()
    return Figures(rows, fresh_rows, first, last, since, received)


def miscounted(connection: Connection) -> list[str]:
    """Where stored figures are not those of a recount, in words; empty when all is well. Reads every row."""
    found = []
    for kind in KINDS:
        kept = {
            row.number: Figures(*(getattr(row, name) for name in Figures._fields))
            for row in connection.execute(select(portions).where(portions.c.kind == kind.name))
        }
        number = kind.changes.c.portion
        there = set(connection.scalars(select(number).distinct()))
        for at in sorted(kept.keys() | there):
            counted = recount(connection, kind, at)
            if at not in kept or (kept[at] != counted and not _is_swept(connection, kind, at)):
                found.append(f"portion {at} of {kind.name} has {counted}, on record is {kept.get(at)}")
    return found


def waiting(kind: Kind, *columns: Column[Any]) -> Select[Any]:
    """These columns of every pending or claimed change, and last the cycle that has claimed it."""
    changes, mine = kind.changes, portions.c.kind == kind.name
    running = select(cycles.c.cycle_id).where(cycles.c.state == RUNNING)
    not_settled = (portions.c.cycle_id == PENDING) | portions.c.cycle_id.in_(running)
    joined = changes.join(portions, (portions.c.number == changes.c.portion) & mine)
    return select(*columns, portions.c.cycle_id).select_from(joined).where(not_settled)


def keys_of(connection: Connection, kind: Kind, cycle_id: str) -> list[str]:
    """The keys of the users or labels that a cycle has claimed, read by the driver alone: there may be millions."""
    found = connection.execute(select(kind.key).where(in_portion_of(kind, cycle_id)))
    assert found.cursor is not None
    return [key for (key,) in found.cursor.fetchall()]


def in_portion_of(kind: Kind, cycle_id: str) -> ColumnElement[bool]:
    """Whether a row of `kind.changes` is in the portion that a cycle has claimed, or with `PENDING` in the open one."""
    which = portions.c.kind == kind.name, portions.c.cycle_id == cycle_id
    return kind.changes.c.portion == select(portions.c.number).where(*which).scalar_subquery()


def _is_swept(connection: Connection, kind: Kind, number: int) -> bool:
    running = connection.scalar(select(cycles.c.cycle_id).where(cycles.c.state == RUNNING))
    return number in left_over(connection, kind, running)


def _is(kind: Kind, number: int) -> tuple[ColumnElement[bool], ...]:
    return portions.c.kind == literal(kind.name), portions.c.number == number


def _present(times: Iterable[float | None]) -> list[float]:
    return [one for one in times if one is not None]
