"""What operators and the schedule asked for. It waits in the ledger, so that it is done even after a restart."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import ColumnElement, Engine, select, update

from consumer.ledger.engine import reading
from consumer.ledger.tables import PENDING, asked
from schemas.cycle import CycleKind

By = Literal["operator", "schedule"]

_ONE_TICK = 50.0  # seconds; a crontab line strikes once a minute at most
_STRENGTH = [CycleKind.INCREMENTAL, CycleKind.BACKFILL, CycleKind.FULL]


class Asked:
    """Requests for a cycle. The next cycle takes up all of them, but a full retrain only one from scratch does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ask(self, kind: CycleKind, by: By, now: float) -> int:
        """Ask for a cycle; gives the number of the request."""
        with self._engine.begin() as connection:
            number = connection.execute(asked.insert().values(kind=kind.value, by=by, at=now)).inserted_primary_key
        assert number is not None
        return int(number[0])

    def ask_by_schedule(self, kind: CycleKind, now: float) -> None:
        """Ask for what the clock asks for; of several instances whose clocks strike together, the first one counts."""
        with self._engine.begin() as connection:
            lately = select(asked.c.number).where(asked.c.by == "schedule", asked.c.at > now - _ONE_TICK)
            if connection.scalar(lately.limit(1)) is None:
                connection.execute(asked.insert().values(kind=kind.value, by="schedule", at=now))

    def open(self, by: By) -> CycleKind | None:
        """The strongest open request: full before backfill before incremental."""
        with reading(self._engine) as connection:
            kinds = connection.scalars(select(asked.c.kind).where(asked.c.by == by, asked.c.cycle_id.is_(None))).all()
        return max((CycleKind(kind) for kind in kinds), key=_STRENGTH.index, default=None)

    def taken_up(self, number: int) -> str | None:
        """The cycle that took up a request; None while it waits."""
        with reading(self._engine) as connection:
            return connection.scalar(select(asked.c.cycle_id).where(asked.c.number == number))

    def drop_incremental(self) -> None:
        """Drop the open requests for an incremental cycle: nothing is pending, so there is nothing to do for them."""
        self._answer(asked.c.kind == CycleKind.INCREMENTAL.value)

    def withdraw(self, number: int) -> None:
        """Take back a request that no cycle has taken up."""
        self._answer(asked.c.number == number)

    def _answer(self, which: ColumnElement[bool]) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(asked).where(which, asked.c.cycle_id.is_(None)).values(cycle_id=PENDING))
