"""Claiming the pending users for a cycle, and settling it: each one transaction.

A claim takes all pending users and notes which offsets they stand for: from where the last registered version ended to
what is stored now. A user who changes meanwhile gets a new pending row. A registered version settles the claim; any
other outcome gives the users back, and the next claim covers their offsets again. So the offsets of the registered
versions follow each other without a gap and without overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import Connection, Engine, func, select, update

from consumer.errors import LedgerError
from consumer.ledger.engine import reading
from consumer.ledger.leases import check_fence
from consumer.ledger.lineage import lineage_of
from consumer.ledger.settling import LAG_COVERED, give_back, settle_users
from consumer.ledger.tables import PENDING, asked, changes, cycles, learned, promotions, replays, versions
from schemas.cycle import CycleKind, CycleResult, Lineage, Outcome
from schemas.fault_points import Point, reached

RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Claim:
    """A running cycle, as the ledger holds it."""

    cycle_id: str
    kind: CycleKind
    reason: str
    base_version: int | None
    anchor_version: int | None
    lineage: Lineage
    users: tuple[str, ...]
    follows: str | None
    """The newest earlier cycle whose version was made champion: who has followed that one has missed nothing."""
    above: int
    """The highest number of a version so far; 0 before the first."""
    attempts: int
    claimed_at: float


class Cycles:
    """The supervisor's side of the ledger. At most one cycle runs.

    Every write names its fence, the token of the lease for running cycles, which is checked in the same transaction.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def running(self) -> Claim | None:
        """The cycle that was claimed and has not ended, whoever claimed it."""
        with reading(self._engine) as connection:
            return _running(connection)

    def claim(self, kind: CycleKind, reason: str, now: float, *, fence: int) -> Claim:
        """Start a cycle: all pending users become its own.

        Raises:
            LedgerError: a cycle is running.
            LeaseLost: the lease is not held with token `fence`; nothing is claimed.
        """
        with self._engine.begin() as connection:
            check_fence(connection, fence)
            if (running := _running(connection)) is not None:
                raise LedgerError(f"cycle {running.cycle_id} is running; it has to end before another starts")
            number = (connection.scalar(select(func.max(cycles.c.number))) or 0) + 1
            cycle_id = f"c{number:06d}-{blake2b(f'{number}:{now}'.encode(), digest_size=4).hexdigest()}"
            for table in (changes, replays):
                connection.execute(update(table).where(table.c.cycle_id == PENDING).values(cycle_id=cycle_id))
            # A cycle on top of the champion does not do what was asked for when a full retrain was.
            answered = [one.value for one in CycleKind if kind.from_scratch or not one.from_scratch]
            taken_up = update(asked).where(asked.c.cycle_id.is_(None), asked.c.kind.in_(answered))
            connection.execute(taken_up.values(cycle_id=cycle_id))
            connection.execute(
                cycles.insert().values(
                    number=number,
                    cycle_id=cycle_id,
                    kind=kind.value,
                    reason=reason,
                    state=RUNNING,
                    base_version=champion(connection),
                    anchor_version=_anchor(connection),
                    lineage=lineage_of(connection, cycle_id).model_dump(mode="json"),
                    claimed_at=now,
                )
            )
            claimed = _running(connection)
            reached(Point.CLAIMING)
        assert claimed is not None
        return claimed

    def lately(self, now: float) -> tuple[str, ...]:
        """Users whom registered versions have learned from events of the last `LAG_COVERED` seconds."""
        recent = select(learned.c.user_id).where(learned.c.received_at >= now - LAG_COVERED)
        with reading(self._engine) as connection:
            return tuple(sorted(connection.scalars(recent)))

    def attempt(self, cycle_id: str, *, fence: int) -> None:
        """Count one more failed attempt of a running cycle.

        Raises:
            LeaseLost: the lease is not held with token `fence`; nothing is counted.
        """
        with self._engine.begin() as connection:
            check_fence(connection, fence)
            connection.execute(
                update(cycles).where(cycles.c.cycle_id == cycle_id).values(attempts=cycles.c.attempts + 1)
            )

    def settle(self, result: CycleResult, now: float, *, fence: int) -> bool:
        """End a running cycle. Says whether its version became champion.

        A version becomes champion only if the champion is still the one that it was compared with (compare-and-set).
        Users are settled when their version is champion, and given back otherwise. A cycle that has ended just like
        that may be settled again, which changes nothing: its commit may be done and the answer to it lost.

        Raises:
            LedgerError: that cycle is not running, and has not ended like that.
            LeaseLost: the lease is not held with token `fence`; nothing is settled.
        """
        with self._engine.begin() as connection:
            check_fence(connection, fence)
            ended = connection.execute(
                update(cycles)
                .where(cycles.c.cycle_id == result.cycle_id, cycles.c.state == RUNNING)
                .values(
                    state=result.outcome.value,
                    ended_at=now,
                    known_users=result.known_users,
                    result=result.model_dump(mode="json"),
                )
            )
            if ended.rowcount != 1:
                return _settled_before(connection, result)
            promoted = False
            if result.version is not None:
                connection.execute(
                    versions.insert().values(version=result.version, cycle_id=result.cycle_id, registered_at=now)
                )
                claimed_on = connection.scalar(
                    select(cycles.c.base_version).where(cycles.c.cycle_id == result.cycle_id)
                )
                promoted = champion(connection) == claimed_on
            if promoted:
                connection.execute(promotions.insert().values(version=result.version, at=now, reason=result.reason))
                settle_users(connection, result.cycle_id, now)
            else:
                give_back(connection, result.cycle_id, tried=result.outcome is not Outcome.FAILED)
                if result.outcome is Outcome.FAILED:  # what the clock asked for is still to be done
                    open_again = update(asked).where(asked.c.cycle_id == result.cycle_id, asked.c.by == "schedule")
                    connection.execute(open_again.values(cycle_id=None))
            reached(Point.SETTLING)
            return promoted


def champion(connection: Connection) -> int | None:
    """The version that the champion pointer names."""
    return connection.scalar(select(promotions.c.version).order_by(promotions.c.number.desc()).limit(1))


def _settled_before(connection: Connection, result: CycleResult) -> bool:
    """Whether a cycle's version became champion when the cycle ended with this result, as it has already."""
    state = connection.scalar(select(cycles.c.state).where(cycles.c.cycle_id == result.cycle_id))
    version = connection.scalar(select(versions.c.version).where(versions.c.cycle_id == result.cycle_id))
    if (state, version) != (result.outcome.value, result.version):
        raise LedgerError(f"cycle {result.cycle_id} is not running, so it cannot end")
    was_champion = select(promotions.c.number).where(promotions.c.version == version)
    return connection.scalar(was_champion.limit(1)) is not None


def _anchor(connection: Connection) -> int | None:
    """The last champion that was trained from scratch."""
    scratch = [kind.value for kind in CycleKind if kind.from_scratch]
    return connection.scalar(
        select(promotions.c.version)
        .join(versions, versions.c.version == promotions.c.version)
        .join(cycles, cycles.c.cycle_id == versions.c.cycle_id)
        .where(cycles.c.kind.in_(scratch))
        .order_by(promotions.c.number.desc())
        .limit(1)
    )


def _last_promoted(connection: Connection) -> str | None:
    """The newest cycle whose version was made champion; one that runs has no version yet."""
    return connection.scalar(
        select(cycles.c.cycle_id)
        .join(versions, versions.c.cycle_id == cycles.c.cycle_id)
        .join(promotions, promotions.c.version == versions.c.version)
        .order_by(cycles.c.number.desc())
        .limit(1)
    )


def _running(connection: Connection) -> Claim | None:
    row = connection.execute(select(cycles).where(cycles.c.state == RUNNING)).one_or_none()
    if row is None:
        return None
    users = connection.scalars(select(changes.c.user_id).where(changes.c.cycle_id == row.cycle_id))
    return Claim(
        cycle_id=row.cycle_id,
        kind=CycleKind(row.kind),
        reason=row.reason,
        base_version=row.base_version,
        anchor_version=row.anchor_version,
        lineage=Lineage.model_validate(row.lineage),
        users=tuple(sorted(users)),  # here: a server sorts by the rules of its language
        follows=_last_promoted(connection),
        above=connection.scalar(select(func.max(versions.c.version))) or 0,
        attempts=row.attempts,
        claimed_at=row.claimed_at,
    )
