"""Cycles that have ended, for whoever counts them: all of them once, and from then on only those that came since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select

from consumer.database.engine import reading
from consumer.database.tables import RUNNING, cycles, versions
from schemas.cycle import Outcome

_AT_ONCE = 20  # a cycle on record may be as large as 20 KB
_LOOKED_AT = 100
_JUDGED = {Outcome.REGISTERED, Outcome.REJECTED, Outcome.INCONCLUSIVE}
_COLUMNS = (cycles.c.number, cycles.c.kind, cycles.c.state, cycles.c.claimed_at, cycles.c.ended_at, cycles.c.result)


@dataclass(frozen=True, slots=True)
class Ended:
    """A cycle that has ended. `result` is that of `CycleResult`, perhaps as an earlier release wrote it."""

    number: int
    kind: str
    outcome: str
    took: float
    """Seconds from its claim to its end, by the wall clock."""
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Counted:
    """How many cycles ended how, up to and with the cycle `number`."""

    number: int
    by_kind_and_outcome: dict[tuple[str, str], int]


def count_ended(engine: Engine) -> Counted:
    """Count all cycles that have ended, from an index: none is read."""
    of = cycles.c
    with reading(engine) as connection:
        running = connection.scalar(select(func.min(of.number)).where(of.state == RUNNING))
        newest = connection.scalar(select(func.max(of.number))) or 0
        last = newest if running is None else running - 1
        counted = select(of.kind, of.state, func.count()).where(of.number <= last).group_by(of.state, of.kind)
        return Counted(last, {(kind, state): count for kind, state, count in connection.execute(counted)})


def ended_after(engine: Engine, number: int) -> Iterator[Ended]:
    """The cycles after this one, in order, up to the first that runs."""
    while True:
        which = select(*_COLUMNS).where(cycles.c.number > number).order_by(cycles.c.number).limit(_AT_ONCE)
        with reading(engine) as connection:
            rows = connection.execute(which).all()
        found = list(takewhile(lambda row: row.state != RUNNING, rows))
        yield from map(_ended, found)
        if len(found) < _AT_ONCE:
            return
        number = found[-1].number


def ended_since(engine: Engine, moment: float, number: int) -> Iterator[Ended]:
    """The cycles up to and with this one that ended at a moment or later, the newest first."""
    while True:
        which = select(*_COLUMNS).where(cycles.c.number <= number).order_by(cycles.c.number.desc()).limit(_AT_ONCE)
        with reading(engine) as connection:
            rows = connection.execute(which.where(cycles.c.ended_at >= moment)).all() if number else []
        yield from map(_ended, rows)
        if len(rows) < _AT_ONCE:
            return
        number = rows[-1].number - 1


def last_gate(engine: Engine, number: int) -> dict[str, Any] | None:
    """The result of the newest cycle up to and with this one in which a gate saw a challenger, if not too long ago."""
    of = cycles.c
    newest = select(of.number, of.state).where(of.number <= number).order_by(of.number.desc()).limit(_LOOKED_AT)
    with reading(engine) as connection:
        for row in connection.execute(newest).all():
            if row.state in _JUDGED and (found := _result(connection, row.number)) and challenger_of(found):
                return found
    return None


def result_of_version(engine: Engine, version: int) -> dict[str, Any] | None:
    """The result of the cycle that registered a version; None where there is no such version."""
    which = select(cycles.c.result).join(versions, versions.c.cycle_id == cycles.c.cycle_id)
    with reading(engine) as connection:
        found: dict[str, Any] | None = connection.scalar(which.where(versions.c.version == version))
    return found


def result_of(engine: Engine, cycle_id: str) -> dict[str, Any] | None:
    """The result of a cycle; None where it runs, or is not there."""
    with reading(engine) as connection:
        found: dict[str, Any] | None = connection.scalar(select(cycles.c.result).where(cycles.c.cycle_id == cycle_id))
    return found


def challenger_of(result: dict[str, Any]) -> dict[str, float | None] | None:
    """The figures of the challenger in a result; None where there was none."""
    figures: dict[str, float | None] | None = (result.get("gate") or {}).get("challenger")
    return figures


def _result(connection: Connection, number: int) -> dict[str, Any] | None:
    found: dict[str, Any] | None = connection.scalar(select(cycles.c.result).where(cycles.c.number == number))
    return found


def _ended(row: Row[Any]) -> Ended:
    took = max(0.0, row.ended_at - row.claimed_at)  # the clock may have been set back
    return Ended(row.number, row.kind, row.state, took, row.result or {})
