"""What operators and the schedule asked for. It waits in the ledger, so that it is done even after a restart."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import ColumnElement, Engine, select, update

from consumer.ledger.engine import reading
from consumer.ledger.leases import check_fence
from consumer.ledger.tables import PENDING, asked
from schemas.cycle import CycleKind

By = Literal["operator", "schedule"]

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

    def ask_by_schedule(self, kind: CycleKind, tick: float) -> None:
        """Ask for what the clock asks for.

        Of several instances the first one counts. `tick` is the time that the schedule names, seconds since the epoch,
        and not the time it is: so it is the same for all of them, whatever their clocks say.
        """
        with self._engine.begin() as connection:
            heard = select(asked.c.number).where(asked.c.by == "schedule", asked.c.at == tick)
            if connection.scalar(heard.limit(1)) is None:
                connection.execute(asked.insert().values(kind=kind.value, by="schedule", at=tick))

    def open(self, by: By) -> CycleKind | None:
        """The strongest open request: full before backfill before incremental."""
        with reading(self._engine) as connection:
            kinds = connection.scalars(select(asked.c.kind).where(asked.c.by == by, asked.c.cycle_id.is_(None))).all()
        return max((CycleKind(kind) for kind in kinds), key=_STRENGTH.index, default=None)

    def taken_up(self, number: int) -> str | None:
        """The cycle that took up a request; None while it waits."""
        with reading(self._engine) as connection:
            return connection.scalar(select(asked.c.cycle_id).where(asked.c.number == number))

    def drop_incremental(self, *, fence: int) -> None:
        """Drop the open requests for an incremental cycle: nothing is pending, so there is nothing to do for them.

        Raises:
            LeaseLost: the lease is not held with token `fence`; nothing is dropped.
        """
        self._answer(asked.c.kind == CycleKind.INCREMENTAL.value, fence)

    def withdraw(self, number: int) -> None:
        """Take back a request that no cycle has taken up."""
        self._answer(asked.c.number == number)

    def _answer(self, which: ColumnElement[bool], fence: int | None = None) -> None:
        with self._engine.begin() as connection:
            if fence is not None:
                check_fence(connection, fence)
            connection.execute(update(asked).where(which, asked.c.cycle_id.is_(None)).values(cycle_id=PENDING))
