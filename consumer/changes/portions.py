"""What is pending is the open portion of its kind; a cycle claims a portion whole, by one row, however much is in it.

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
    """What a portion holds. Times are None where there is nothing that they could be of."""

    rows: int = 0
    untried: int = 0
    first_event_at: float | None = None
    last_event_at: float | None = None
    fresh_since: float | None = None
    """The earliest, of what no cycle has tried."""
    received_at: float | None = None
    """The latest, of what no cycle has tried."""

    def with_more(self, new: Figures) -> Figures:
        """The figures with those of what is added."""
        return Figures(
            self.rows + new.rows,
            self.untried + new.untried,
            earliest(self.first_event_at, new.first_event_at),
            latest(self.last_event_at, new.last_event_at),
            earliest(self.fresh_since, new.fresh_since),
            latest(self.received_at, new.received_at),
        )


class Portion(NamedTuple):
    """A portion by its number, and what it holds."""

    number: int
    figures: Figures


_COLUMNS = [portions.c[name] for name in Figures._fields]


def earliest(*times: float | None) -> float | None:
    """The smallest of those that there are."""
    return min(_told(times), default=None)


def latest(*times: float | None) -> float | None:
    """The greatest of those that there are."""
    return max(_told(times), default=None)


def portion_of(connection: Connection, kind: Kind, cycle_id: str) -> Portion | None:
    """What a cycle has claimed of a kind, or what is pending; None where that is nothing."""
    which = portions.c.kind == kind.name, portions.c.cycle_id == cycle_id
    row = connection.execute(select(portions.c.number, *_COLUMNS).where(*which)).one_or_none()
    return None if row is None else Portion(row[0], Figures(*row[1:]))


def figures_of(connection: Connection, kind: Kind, cycle_id: str) -> Figures:
    """The figures of what a cycle has claimed of a kind, or of what is pending."""
    found = portion_of(connection, kind, cycle_id)
    return Figures() if found is None else found.figures


def open_portion(connection: Connection, kind: Kind) -> Portion:
    """The portion that is pending; where there is none, it is opened."""
    if (found := portion_of(connection, kind, PENDING)) is not None:
        return found
    last = connection.scalar(select(func.max(portions.c.number)).where(portions.c.kind == kind.name)) or 0
    connection.execute(portions.insert().values(kind=kind.name, number=last + 1, cycle_id=PENDING))
    return Portion(last + 1, Figures())


def keep(connection: Connection, kind: Kind, number: int, figures: Figures) -> None:
    """Put down the figures of a portion."""
    connection.execute(update(portions).where(*_is(kind, number)).values(figures._asdict()))


def claim(connection: Connection, cycle_id: str) -> None:
    """All that is pending is a cycle's."""
    connection.execute(update(portions).where(portions.c.cycle_id == PENDING).values(cycle_id=cycle_id))


def reopen(connection: Connection, kind: Kind, number: int) -> None:
    """What was claimed is pending; no other portion of the kind may be."""
    connection.execute(update(portions).where(*_is(kind, number)).values(cycle_id=PENDING))


def close(connection: Connection, kind: Kind, number: int) -> None:
    """Forget a portion that has no rows any more."""
    connection.execute(delete(portions).where(*_is(kind, number)))


def left_over(connection: Connection, kind: Kind, running: str | None) -> list[int]:
    """The portions of cycles that have ended: what they held is settled, and may be taken away."""
    kept = [PENDING] if running is None else [PENDING, running]
    which = portions.c.kind == kind.name, portions.c.cycle_id.not_in(kept)
    return list(connection.scalars(select(portions.c.number).where(*which).order_by(portions.c.number)))


def recount(connection: Connection, kind: Kind, number: int) -> Figures:
    """The figures of a portion, by looking at every row of it: what is kept beside it has to be the same."""
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
    """Where figures that are kept are not those of a recount, in words; it has to be empty, and looks at every row."""
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
    """These columns of every change that is pending or claimed, and behind them the cycle that has claimed it."""
    changes, mine = kind.changes, portions.c.kind == kind.name
    running = select(cycles.c.cycle_id).where(cycles.c.state == RUNNING)
    not_settled = (portions.c.cycle_id == PENDING) | portions.c.cycle_id.in_(running)
    joined = changes.join(portions, (portions.c.number == changes.c.portion) & mine)
    return select(*columns, portions.c.cycle_id).select_from(joined).where(not_settled)


def keys_of(connection: Connection, kind: Kind, cycle_id: str) -> list[str]:
    """The users or labels that a cycle has claimed, as the driver gives them: there may be millions."""
    found = connection.execute(select(kind.key).where(in_portion_of(kind, cycle_id)))
    assert found.cursor is not None
    return [key for (key,) in found.cursor.fetchall()]


def in_portion_of(kind: Kind, cycle_id: str) -> ColumnElement[bool]:
    """Whether a row of `kind.changes` is in what a cycle has claimed, or in what is pending."""
    which = portions.c.kind == kind.name, portions.c.cycle_id == cycle_id
    return kind.changes.c.portion == select(portions.c.number).where(*which).scalar_subquery()


def _is_swept(connection: Connection, kind: Kind, number: int) -> bool:
    running = connection.scalar(select(cycles.c.cycle_id).where(cycles.c.state == RUNNING))
    return number in left_over(connection, kind, running)


def _is(kind: Kind, number: int) -> tuple[ColumnElement[bool], ...]:
    return portions.c.kind == literal(kind.name), portions.c.number == number


def _told(times: Iterable[float | None]) -> list[float]:
    return [one for one in times if one is not None]
