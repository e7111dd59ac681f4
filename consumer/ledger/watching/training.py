"""How long cycles take, by those on record: for the training budget, and for what may be promised."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select

from consumer.database.engine import reading
from consumer.database.tables import RUNNING, cycles
from schemas.cycle import CycleKind, Outcome

DAY = 86_400.0
LOOKED_AT = 20
"""Cycles of a kind by which the next one's length is expected: the last so many that came to a decision."""
_QUANTILE = 0.9
_AT_ONCE = 200
_UNDECIDED = [RUNNING, Outcome.FAILED.value, Outcome.HELD.value]
_EXPECTED_BY = (CycleKind.INCREMENTAL, CycleKind.BACKFILL, CycleKind.BOOTSTRAP, CycleKind.FULL)
"""Kinds by which the length of a cycle over changes is expected, the best first: one from scratch takes longer."""


class Ran(NamedTuple):
    """One cycle, from its claim to its end. Times are seconds since the epoch."""

    begin: float
    end: float | None
    """None while the cycle runs."""
    attempts: int
    """How often it was tried, the running try included."""


@dataclass(frozen=True, slots=True)
class Expected:
    """How long a cycle over changes is expected to take."""

    seconds: float
    """As long as nine of ten of those looked at took at most."""
    kind: CycleKind
    """Of the cycles looked at."""
    cycles: int
    """How many those are."""


class Training:
    """The lengths of a ledger's cycles. Safe to use from several threads; cheap enough for every turn."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._expected: tuple[int, Expected | None] | None = None
        self._ended: tuple[int, tuple[Ran, ...]] | None = None

    def expected(self) -> Expected | None:
        """How long the next cycle over changes is expected to take; None before any cycle came to a decision."""
        with reading(self._engine) as connection:
            last = _last_ended(connection)
            known = self._expected
            if known is not None and known[0] == last:
                return known[1]
            found = next((one for kind in _EXPECTED_BY if (one := _expected(connection, kind)) is not None), None)
        self._expected = (last, found)
        return found

    def ran(self, now: float) -> tuple[Ran, ...]:
        """The cycles that ran at any time of the last 24 hours, whatever came of them, the newest first."""
        of = cycles.c
        running = select(of.claimed_at, of.ended_at, of.attempts).where(of.state == RUNNING)
        with reading(self._engine) as connection:
            last = _last_ended(connection)
            under_way = [Ran(row[0], row[1], row[2] + 1) for row in connection.execute(running)]
            known = self._ended
            if known is None or known[0] != last:
                known = (last, _ended_since(connection, now - DAY))
        self._ended = known
        return (*under_way, *(one for one in known[1] if one.end is not None and one.end > now - DAY))


def _last_ended(connection: Connection) -> int:
    return connection.scalar(select(func.max(cycles.c.number)).where(cycles.c.ended_at.is_not(None))) or 0


def _expected(connection: Connection, kind: CycleKind) -> Expected | None:
    of = cycles.c
    decided = of.kind == kind, of.state.not_in(_UNDECIDED), of.ended_at.is_not(None)
    last = select(of.claimed_at, of.ended_at).where(*decided).order_by(of.number.desc()).limit(LOOKED_AT)
    lengths = sorted(max(0.0, row.ended_at - row.claimed_at) for row in connection.execute(last))
    if not lengths:
        return None
    return Expected(lengths[ceil(_QUANTILE * len(lengths)) - 1], kind, len(lengths))


def _ended_since(connection: Connection, since: float) -> tuple[Ran, ...]:
    """Cycles end in the order of their numbers, so the newest are looked at until one is too old."""
    of = cycles.c
    ended = select(of.number, of.claimed_at, of.ended_at, of.attempts).where(of.ended_at.is_not(None))
    found: list[Ran] = []
    before: int | None = None
    while True:
        portion = ended if before is None else ended.where(of.number < before)
        rows = connection.execute(portion.order_by(of.number.desc()).limit(_AT_ONCE)).all()
        recent = [row for row in rows if row.ended_at > since]
        found += [Ran(row.claimed_at, row.ended_at, row.attempts + 1) for row in recent]
        if len(recent) < _AT_ONCE:
            return tuple(found)
        before = rows[-1].number
