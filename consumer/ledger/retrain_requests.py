"""What operators, the schedule and trainers ask for. A request waits in the ledger, so a restart does not forget it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Engine, select, update

from consumer.database.engine import reading
from consumer.database.tables import PENDING, retrain_requests
from consumer.ledger.leases import check_fence
from schemas.cycle import CycleKind
from schemas.guard import GuardName

By = Literal["operator", "schedule", "trainer"]

_REQUEST = retrain_requests.c
_STRENGTH = [CycleKind.INCREMENTAL, CycleKind.BACKFILL, CycleKind.FULL]


class RetrainRequests:
    """Requests for a cycle. The next cycle takes up all of them, but a full retrain only one from scratch does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ask(self, kind: CycleKind, by: By, now: float, accept: Iterable[GuardName] = ()) -> int:
        """Ask for a cycle, for which the limits in `accept` are waived; gives the number of the request."""
        request = retrain_requests.insert().values(kind=kind.value, by=by, at=now, accept=sorted(accept))
        with self._engine.begin() as connection:
            number = connection.execute(request).inserted_primary_key
        assert number is not None
        return int(number[0])

    def ask_by_schedule(self, kind: CycleKind, tick: float, line: str | None = None) -> bool:
        """Ask for what the clock asks for; says whether nobody had yet.

        Of several instances the first one counts. `tick` is the time that the schedule names, seconds since the epoch,
        and not the time it is: so it is the same for all of them, whatever their clocks say. `line` is the schedule.
        """
        with self._engine.begin() as connection:
            heard = select(_REQUEST.number).where(_REQUEST.by == "schedule", _REQUEST.at == tick)
            if connection.scalar(heard.limit(1)) is not None:
                return False
            connection.execute(retrain_requests.insert().values(kind=kind.value, by="schedule", at=tick, why=line))
            return True

    def watch_schedule(self, line: str | None, now: float) -> float:
        """Since when ticks of a schedule are still to be asked for: since its last one, or `now` where it is new.

        A schedule is new where another one, or none, was watched last. That is on record without asking for anything.
        """
        with self._engine.begin() as connection:
            last = select(_REQUEST.at, _REQUEST.why).where(_REQUEST.by == "schedule").order_by(_REQUEST.number.desc())
            known = connection.execute(last.limit(1)).one_or_none()
            if known is not None and known.why == line:
                return float(known.at)
            if known is not None or line is not None:
                mark = {"kind": CycleKind.FULL.value, "by": "schedule", "at": now, "cycle_id": PENDING, "why": line}
                connection.execute(retrain_requests.insert().values(**mark))
            return now

    def open(self, by: By) -> CycleKind | None:
        """The strongest open request: full before backfill before incremental."""
        with reading(self._engine) as connection:
            kinds = connection.scalars(
                select(_REQUEST.kind).where(_REQUEST.by == by, _REQUEST.cycle_id.is_(None))
            ).all()
        return max((CycleKind(kind) for kind in kinds), key=_STRENGTH.index, default=None)

    def why_full(self) -> str | None:
        """Why trainers ask for a full retrain; None where no such request is open."""
        with reading(self._engine) as connection:
            return connection.scalar(select(_REQUEST.why).where(*_OPEN_FOR_TRAINERS).limit(1))

    def taken_up(self, number: int) -> str | None:
        """The cycle that took up a request; None while it waits."""
        with reading(self._engine) as connection:
            return connection.scalar(select(_REQUEST.cycle_id).where(_REQUEST.number == number))

    def drop_incremental(self, *, fence: int) -> None:
        """Drop the open requests for an incremental cycle: nothing is pending, so there is nothing to do for them.

        Raises:
            LeaseLost: the lease is not held with token `fence`; nothing is dropped.
        """
        self._answer(_REQUEST.kind == CycleKind.INCREMENTAL.value, fence)

    def withdraw(self, number: int) -> None:
        """Take back a request that no cycle has taken up."""
        self._answer(_REQUEST.number == number)

    def _answer(self, which: ColumnElement[bool], fence: int | None = None) -> None:
        with self._engine.begin() as connection:
            if fence is not None:
                check_fence(connection, fence)
            connection.execute(
                update(retrain_requests).where(which, _REQUEST.cycle_id.is_(None)).values(cycle_id=PENDING)
            )


_OPEN_FOR_TRAINERS = (_REQUEST.by == "trainer", _REQUEST.cycle_id.is_(None))


def take_up(connection: Connection, kind: CycleKind, cycle_id: str) -> set[GuardName]:
    """Have a cycle that starts take up the open requests that it answers; gives the limits that they waive."""
    # A cycle on top of the champion does not do what was asked for when a full retrain was.
    answered = [one.value for one in CycleKind if kind.from_scratch or not one.from_scratch]
    taken_up = update(retrain_requests).where(_REQUEST.cycle_id.is_(None), _REQUEST.kind.in_(answered))
    connection.execute(taken_up.values(cycle_id=cycle_id))
    waived = connection.scalars(select(_REQUEST.accept).where(_REQUEST.cycle_id == cycle_id))
    return {GuardName(name) for name in chain.from_iterable(names or () for names in waived)}


def open_again(connection: Connection, cycle_id: str) -> None:
    """A cycle did not do what it took up: what nobody waits for by hand is still to be done."""
    not_by_hand = _REQUEST.cycle_id == cycle_id, _REQUEST.by != "operator"
    connection.execute(update(retrain_requests).where(*not_by_hand).values(cycle_id=None))


def ask_full(connection: Connection, why: str, now: float) -> None:
    """A trainer asks for a full retrain; one open request is enough, in the words of the last who asked."""
    again = connection.execute(update(retrain_requests).where(*_OPEN_FOR_TRAINERS).values(why=why, at=now))
    if again.rowcount == 0:
        connection.execute(retrain_requests.insert().values(kind=CycleKind.FULL.value, by="trainer", at=now, why=why))
