"""Claiming the pending users and labels for a cycle, and settling it: each one transaction.

A claim takes all that is pending and notes which offsets it stands for: from where the last registered version ended to
what is stored now. What changes meanwhile gets a new pending row. A registered version settles the claim. A cycle that
found nothing to learn settles its users and labels alone. Any other outcome gives them back. Where there is no version,
the next claim covers the offsets again. So the offsets of the registered versions follow each other without a gap and
without overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select, update

from consumer.errors import LedgerError
from consumer.ledger import portions
from consumer.ledger.asked import ask_full, open_again, take_up
from consumer.ledger.champions import BestSince, baseline, champion
from consumer.ledger.engine import reading
from consumer.ledger.kinds import KINDS, LABELS, USERS, Kind
from consumer.ledger.leases import check_fence
from consumer.ledger.lineage import last_settled, lineage_of
from consumer.ledger.portions import keys_of
from consumer.ledger.refusals import forget_mended, keep_refused
from consumer.ledger.settling import (
    give_back,
    much_to_forget,
    settle_changes,
    settle_offsets,
    settled_lately,
    sweep,
    to_sweep,
)
from consumer.ledger.tables import PENDING, RUNNING, cycles, promotions, replays, versions
from schemas.cycle import CycleKind, CycleResult, Lineage, Outcome
from schemas.fault_points import Point, reached
from schemas.guard import GuardName
from schemas.labels import PairKey, pair_of
from schemas.refused import Refused, RefusedByName

_IS_RUNNING = cycles.c.state == RUNNING


@dataclass(frozen=True, slots=True)
class Claim:
    """A running cycle, as the ledger holds it."""

    cycle_id: str
    kind: CycleKind
    reason: str
    base_version: int | None
    baseline_version: int | None
    best_since: tuple[int, ...]
    """Versions since the baseline that a challenger is measured against too."""
    accept: tuple[GuardName, ...]
    """Limits of the guard that an operator has waived for this cycle."""
    lineage: Lineage
    users: tuple[str, ...]
    labels: tuple[PairKey, ...]
    follows: str | None
    """The newest earlier cycle that settled what it claimed: who has followed that one has missed nothing."""
    above: int
    """The highest number of a version so far; 0 before the first."""
    attempts: int
    last_error: str | None
    """Why the last of them failed."""
    claimed_at: float


class Base(NamedTuple):
    """What a probe is made of: the champion, and the last cycle that was settled."""

    version: int | None
    follows: str | None


class Cycles:
    """The supervisor's side of the ledger. At most one cycle runs.

    Every write names its fence, the token of the lease for running cycles, which is checked in the same transaction.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._best = BestSince()

    def running(self) -> Claim | None:
        """The cycle that was claimed and has not ended, whoever claimed it."""
        with reading(self._engine) as connection:
            return _running(connection, self._best)

    def is_any_running(self) -> bool:
        """The same without its users."""
        with reading(self._engine) as connection:
            return connection.scalar(select(cycles.c.number).where(cycles.c.state == RUNNING).limit(1)) is not None

    def claim(self, kind: CycleKind, reason: str, now: float, *, fence: int, accept: Iterable[GuardName] = ()) -> Claim:
        """Start a cycle: all pending users and labels become its own, and so do the open requests that it answers.

        The limits in `accept` are waived for it, beside those that the requests waive.

        Raises:
            LedgerError: a cycle is running.
            LeaseLost: the lease is not held with token `fence`; nothing is claimed.
        """
        with self._engine.begin() as connection:
            check_fence(connection, fence)
            if (running := connection.scalar(select(cycles.c.cycle_id).where(_IS_RUNNING))) is not None:
                raise LedgerError(f"cycle {running} is running; it has to end before another starts")
            number = (connection.scalar(select(func.max(cycles.c.number))) or 0) + 1
            cycle_id = f"c{number:06d}-{blake2b(f'{number}:{now}'.encode(), digest_size=4).hexdigest()}"
            portions.claim(connection, cycle_id)
            connection.execute(update(replays).where(replays.c.cycle_id == PENDING).values(cycle_id=cycle_id))
            waived = {*accept, *take_up(connection, kind, cycle_id)}
            connection.execute(
                cycles.insert().values(
                    number=number,
                    cycle_id=cycle_id,
                    kind=kind.value,
                    reason=reason,
                    state=RUNNING,
                    base_version=champion(connection),
                    anchor_version=baseline(connection),
                    accept=sorted(waived),
                    lineage=lineage_of(connection, cycle_id).model_dump(mode="json"),
                    claimed_at=now,
                )
            )
            reached(Point.CLAIMING)
        claimed = self.running()  # not before: it takes long where there are millions, and others want to write
        assert claimed is not None
        return claimed

    def lately(self, now: float) -> tuple[str, ...]:
        """Users who were settled after events of the last `LAG_COVERED` seconds."""
        return tuple(sorted(self._lately(USERS, now)))

    def recent_labels(self, now: float) -> tuple[PairKey, ...]:
        """Labels that were settled after events of the last `LAG_COVERED` seconds."""
        return tuple(sorted(map(pair_of, self._lately(LABELS, now))))

    def _lately(self, kind: Kind, now: float) -> Set[str]:
        with reading(self._engine) as connection:
            return settled_lately(connection, kind, now)

    def sweep(self, now: float, *, remember: bool = True) -> bool:
        """Take away some of what is settled, where it was too much for one transaction; says whether more is left."""
        with reading(self._engine) as connection:
            if not to_sweep(connection) and not much_to_forget(connection, now):
                return False
        with self._engine.begin() as connection:
            return sweep(connection, now, remember=remember)

    def base(self) -> Base:
        """On what the next cycle would be based."""
        with reading(self._engine) as connection:
            last = last_settled(connection)
            return Base(champion(connection), None if last is None else last.cycle_id)

    def attempt(self, cycle_id: str, number: int, *, fence: int, error: str | None = None) -> None:
        """Count the failed attempt `number` of a running cycle, the first of which is 1, and remember why it failed.

        It is counted once, however often that is asked for (compare-and-set): the commit may be done and the answer to
        it lost.

        Raises:
            LedgerError: another number of attempts is on record, or the cycle does not run.
            LeaseLost: the lease is not held with token `fence`; nothing is counted.
        """
        running = cycles.c.cycle_id == cycle_id, cycles.c.state == RUNNING
        with self._engine.begin() as connection:
            check_fence(connection, fence)
            before = connection.scalar(select(cycles.c.attempts).where(*running))
            if before not in {number - 1, number}:
                raise LedgerError(f"cycle {cycle_id} has {before} failed attempts on record, so {number} cannot follow")
            connection.execute(update(cycles).where(*running).values(attempts=number, last_error=error))

    def settle(
        self, result: CycleResult, now: float, *, fence: int, refused: Refused | None = None, remember: bool = True
    ) -> bool:
        """End a running cycle. Says whether its users and labels are settled.

        They are remembered for a while (`lately`, `recent_labels`), unless nobody will ask.

        They are when its version becomes champion, or when it ended unchanged and the champion answers for them; both
        only if the champion is still the one that the cycle was measured against (compare-and-set). Otherwise they are
        given back. Whom it refused is on record in any case: all that are `refused`, or where that is not given those
        whom the result names. A cycle that has ended just like that may be settled again, which changes nothing: its
        commit may be done and the answer to it lost.

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
                    known_labels=_known_labels(result),
                    result=result.model_dump(mode="json"),
                )
            )
            if ended.rowcount != 1:
                return _settled_before(connection, result)
            settled = _end(connection, result, refused or RefusedByName(result), now, remember=remember)
            reached(Point.SETTLING)
            return settled


def _end(connection: Connection, result: CycleResult, refused: Refused, now: float, *, remember: bool) -> bool:
    """What becomes of the claim and the requests of a cycle that ends now; whether the claim is settled."""
    cycle_id, outcome = result.cycle_id, result.outcome
    standing = champion(connection)
    stands = standing == connection.scalar(select(cycles.c.base_version).where(cycles.c.cycle_id == cycle_id))
    answers = outcome is Outcome.REGISTERED or (outcome is Outcome.UNCHANGED and standing is not None)
    settled = stands and answers
    keep_refused(connection, result.cycle_id, refused, now)
    if result.version is not None:
        connection.execute(versions.insert().values(version=result.version, cycle_id=cycle_id, registered_at=now))
        if settled:
            connection.execute(promotions.insert().values(version=result.version, at=now, reason=result.reason))
            settle_offsets(connection, cycle_id)
    if settled:
        forget_mended(connection, result, refused)
        settle_changes(connection, cycle_id, now, remember=remember)
    else:
        # No cycle has tried it on top of a champion that was set meanwhile; one that failed has tried nothing itself.
        tried = None if outcome is Outcome.FAILED else True
        give_back(connection, cycle_id, tried=tried if stands else False)
    if outcome in {Outcome.FAILED, Outcome.HELD}:
        open_again(connection, cycle_id)
    if result.asks_full is not None:
        ask_full(connection, result.asks_full, now)
    return settled


def _known_labels(result: CycleResult) -> int | None:
    return None if result.labels is None else result.labels.positives + result.labels.negatives


def _settled_before(connection: Connection, result: CycleResult) -> bool:
    """Whether a cycle's claim was settled when the cycle ended with this result, as it has already."""
    row = connection.execute(
        select(cycles.c.state, cycles.c.settled, versions.c.version)
        .join(versions, versions.c.cycle_id == cycles.c.cycle_id, isouter=True)
        .where(cycles.c.cycle_id == result.cycle_id)
    ).one_or_none()
    if row is None or (row.state, row.version) != (result.outcome.value, result.version):
        raise LedgerError(f"cycle {result.cycle_id} is not running, so it cannot end")
    return bool(row.settled)


def _running(connection: Connection, best: BestSince) -> Claim | None:
    row = connection.execute(select(cycles).where(_IS_RUNNING)).one_or_none()
    if row is None:
        return None
    users, labels = (keys_of(connection, kind, row.cycle_id) for kind in KINDS)
    last = last_settled(connection)
    return Claim(
        cycle_id=row.cycle_id,
        kind=CycleKind(row.kind),
        reason=row.reason,
        base_version=row.base_version,
        baseline_version=row.anchor_version,  # the column keeps its first name
        best_since=best.of(connection, row.anchor_version, row.base_version),
        accept=tuple(GuardName(name) for name in row.accept or ()),
        lineage=Lineage.model_validate(row.lineage),
        users=tuple(sorted(users)),  # here: a server sorts by the rules of its language
        labels=tuple(sorted(map(pair_of, labels))),
        follows=None if last is None else last.cycle_id,
        above=connection.scalar(select(func.max(versions.c.version))) or 0,
        attempts=row.attempts,
        last_error=row.last_error,
        claimed_at=row.claimed_at,
    )
