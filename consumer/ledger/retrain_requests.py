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
    """Requests for a cycle. The next cycle takes up all; only a cycle from scratch takes up a full retrain."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ask(self, kind: CycleKind, by: By, now: float, accept: Iterable[GuardName] = (), why: str | None = None) -> int:
        """Ask for a cycle that waives the guard's limits in `accept`, with the words of whoever asks in `why`.

        Returns:
            The number of the request.
        """
        request = retrain_requests.insert().values(kind=kind.value, by=by, at=now, accept=sorted(accept), why=why)
        with self._engine.begin() as connection:
            number = connection.execute(request).inserted_primary_key
        assert number is not None
        return int(number[0])

    def ask_by_schedule(self, kind: CycleKind, tick: float, line: str | None = None) -> bool:
        """Ask for a cycle on behalf of the schedule, once for each tick; gives whether this call was the first.

        Args:
            kind: of the cycle.
            tick: the time that the schedule names, seconds since the epoch; the same for all instances, whatever their
                clocks say.
            line: the crontab line of the schedule.
        """
        with self._engine.begin() as connection:
            heard = select(_REQUEST.number).where(_REQUEST.by == "schedule", _REQUEST.at == tick)
            if connection.scalar(heard.limit(1)) is not None:
                return False
            connection.execute(retrain_requests.insert().values(kind=kind.value, by="schedule", at=tick, why=line))
            return True

    def watch_schedule(self, line: str | None, now: float) -> float:
        """The time after which ticks of a schedule are still to be asked for: its last tick, or `now` where it is new.

        A schedule is new where another line, or none, was watched last. The change is put on record, as a request that
        is answered already.
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
        """The strongest kind of the open requests: full before backfill before incremental; None without any."""
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
        """Drop the open requests for an incremental cycle, as nothing is pending.

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
    """Have a starting cycle take up the open requests that it answers; gives the limits that they waive."""
    # A cycle on top of the champion is no full retrain.
    answered = [one.value for one in CycleKind if kind.from_scratch or not one.from_scratch]
    taken_up = update(retrain_requests).where(_REQUEST.cycle_id.is_(None), _REQUEST.kind.in_(answered))
    connection.execute(taken_up.values(cycle_id=cycle_id))
    waived = connection.scalars(select(_REQUEST.accept).where(_REQUEST.cycle_id == cycle_id))
    return {GuardName(name) for name in chain.from_iterable(names or () for names in waived)}


def open_again(connection: Connection, cycle_id: str) -> None:
    """Reopen the requests that a failed or held cycle took up; not an operator's, who sees the outcome and decides."""
    not_by_hand = _REQUEST.cycle_id == cycle_id, _REQUEST.by != "operator"
    connection.execute(update(retrain_requests).where(*not_by_hand).values(cycle_id=None))


def ask_full(connection: Connection, why: str, now: float) -> None:
    """Ask for a full retrain on behalf of a trainer; one request is open at most, with the last reason."""
    again = connection.execute(update(retrain_requests).where(*_OPEN_FOR_TRAINERS).values(why=why, at=now))
    if again.rowcount == 0:
        connection.execute(retrain_requests.insert().values(kind=CycleKind.FULL.value, by="trainer", at=now, why=why))
