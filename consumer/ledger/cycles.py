"""Claiming the pending users for a cycle, and settling it: each one transaction.

A claim takes all pending users and notes which offsets they stand for: from where the last registered version ended to
what is stored now. A user who changes meanwhile gets a new pending row. A registered version settles the claim; any
other outcome gives the users back, and the next claim covers their offsets again. So the offsets of the registered
versions follow each other without a gap and without overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from sqlalchemy import BigInteger, Connection, Engine, case, delete, exists, func, literal, select, update

from consumer.errors import LedgerError
from consumer.ledger.dialect import greatest, least, upsert
from consumer.ledger.engine import reading
from consumer.ledger.leases import check_fence
from consumer.ledger.tables import (
    PENDING,
    asked,
    changes,
    cycles,
    gaps,
    learned,
    offsets,
    promotions,
    replays,
    versions,
)
from schemas.cycle import CycleKind, CycleResult, Lineage, OffsetGaps, OffsetRanges, Outcome
from schemas.fault_points import Point, reached

RUNNING = "running"
LAG_COVERED = 7 * 86_400.0
"""How far behind the online store, in seconds, a bulk copy may be without a full retrain missing a change."""


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
                    lineage=_lineage(connection, cycle_id).model_dump(mode="json"),
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
        Users are settled when their version is champion, and given back otherwise.

        Raises:
            LedgerError: that cycle is not running.
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
                raise LedgerError(f"cycle {result.cycle_id} is not running, so it cannot end")
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
                _settle(connection, result.cycle_id, now)
            else:
                _give_back(connection, result.cycle_id, tried=result.outcome is not Outcome.FAILED)
                if result.outcome is Outcome.FAILED:  # what the clock asked for is still to be done
                    open_again = update(asked).where(asked.c.cycle_id == result.cycle_id, asked.c.by == "schedule")
                    connection.execute(open_again.values(cycle_id=None))
            reached(Point.SETTLING)
            return promoted


def champion(connection: Connection) -> int | None:
    """The version that the champion pointer names."""
    return connection.scalar(select(promotions.c.version).order_by(promotions.c.number.desc()).limit(1))


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
        attempts=row.attempts,
        claimed_at=row.claimed_at,
    )


def _lineage(connection: Connection, cycle_id: str) -> Lineage:
    live: OffsetRanges = {}
    for row in connection.execute(select(offsets).order_by(offsets.c.topic, offsets.c.partition)):
        if row.settled_offset < row.next_offset:
            live.setdefault(row.topic, {})[row.partition] = (row.settled_offset, row.next_offset)
    replayed: OffsetRanges = {}
    for ranges in connection.scalars(select(replays.c.ranges).where(replays.c.cycle_id == cycle_id)):
        for topic, partitions in ranges.items():
            for partition, (start, end) in partitions.items():
                before = replayed.setdefault(topic, {}).get(int(partition), (start, end))
                replayed[topic][int(partition)] = (min(before[0], start), max(before[1], end))
    users, first, last = connection.execute(
        select(func.count(), func.min(changes.c.first_event_at), func.max(changes.c.last_event_at)).where(
            changes.c.cycle_id == cycle_id
        )
    ).one()
    return Lineage(
        offsets=live,
        replayed=replayed,
        gaps=_gaps(connection),
        changed_users=users,
        first_event_at=None if first is None else datetime.fromtimestamp(first, UTC),
        last_event_at=None if last is None else datetime.fromtimestamp(last, UTC),
    )


def _gaps(connection: Connection) -> OffsetGaps:
    """What was passed over and not settled since; what a topic had lost before it was made anew is none of it."""
    of_partition = (gaps.c.topic == offsets.c.topic) & (gaps.c.partition == offsets.c.partition)
    not_settled = gaps.c.to_offset > offsets.c.settled_offset
    anew = gaps.c.to_offset < gaps.c.from_offset
    lost: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for row in connection.execute(
        select(gaps).join(offsets, of_partition).where(not_settled | anew).order_by(gaps.c.number)
    ):
        passed_over = lost.setdefault((row.topic, row.partition), [])
        if row.to_offset < row.from_offset:
            passed_over.clear()
        elif passed_over and passed_over[-1][1] == row.from_offset:
            passed_over[-1] = passed_over[-1][0], row.to_offset
        else:
            passed_over.append((row.from_offset, row.to_offset))
    found: OffsetGaps = {}
    for (topic, partition), passed_over in sorted(lost.items()):
        if passed_over:
            found.setdefault(topic, {})[partition] = tuple(passed_over)
    return found


def _settle(connection: Connection, cycle_id: str, now: float) -> None:
    cycle = connection.execute(select(cycles.c.lineage, cycles.c.claimed_at).where(cycles.c.cycle_id == cycle_id)).one()
    # A topic that was made anew during the cycle has other records at the offsets that the claim covers.
    anew = (gaps.c.to_offset < gaps.c.from_offset) & (gaps.c.at >= cycle.claimed_at)
    for topic, ranges in Lineage.model_validate(cycle.lineage).offsets.items():
        for partition, (_, end) in ranges.items():
            of_partition = offsets.c.topic == topic, offsets.c.partition == partition
            made_anew = exists().where(gaps.c.topic == topic, gaps.c.partition == partition, anew)
            settled = least(literal(end, BigInteger), offsets.c.next_offset)
            connection.execute(update(offsets).where(*of_partition, ~made_anew).values(settled_offset=settled))
    _remember(connection, cycle_id, now)
    connection.execute(delete(changes).where(changes.c.cycle_id == cycle_id))


def _remember(connection: Connection, cycle_id: str, now: float) -> None:
    """Keep for a while who was learned, for the cycles that read everybody from a copy that may lag."""
    connection.execute(delete(learned).where(learned.c.received_at < now - LAG_COVERED))
    who = select(changes.c.user_id, changes.c.received_at).where(
        changes.c.cycle_id == cycle_id, changes.c.received_at >= now - LAG_COVERED
    )
    known = upsert(connection, learned).from_select(["user_id", "received_at"], who)
    latest = greatest(learned.c.received_at, known.excluded.received_at)
    connection.execute(known.on_conflict_do_update(index_elements=[learned.c.user_id], set_={"received_at": latest}))


def _give_back(connection: Connection, cycle_id: str, *, tried: bool) -> None:
    """The cycle's users become pending; where a user has changed again meanwhile, the two rows become one."""
    kept = [column for column in changes.c if column.name not in {"cycle_id", "tried"}]
    claimed = select(*kept, literal(PENDING), literal(tried)).where(changes.c.cycle_id == cycle_id)
    back = upsert(connection, changes).from_select([*(column.name for column in kept), "cycle_id", "tried"], claimed)
    merged = back.on_conflict_do_update(
        index_elements=[changes.c.user_id, changes.c.cycle_id],
        set_={
            "events": changes.c.events + back.excluded.events,
            "first_position": back.excluded.first_position,
            "first_event_at": least(changes.c.first_event_at, back.excluded.first_event_at),
            "fresh_since": case(
                (back.excluded.tried, changes.c.fresh_since),
                else_=least(changes.c.fresh_since, back.excluded.fresh_since),
            ),
        },
    )
    connection.execute(merged)
    connection.execute(delete(changes).where(changes.c.cycle_id == cycle_id))
    connection.execute(update(replays).where(replays.c.cycle_id == cycle_id).values(cycle_id=PENDING))
