"""Claiming the pending users and labels for a cycle, and settling it: each one transaction.

A claim takes all that is pending and notes which offsets that stands for: from the end of the last registered version
to what is stored now. Later changes get new pending rows. A registered version settles the claim. A cycle that found
nothing to learn settles its users and labels alone. Any other outcome gives them back. Without a version, the next
claim covers the offsets again. So the offsets of registered versions follow each other without gap and without overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select, update

from consumer.changes import portions
from consumer.changes.kinds import KINDS, LABELS, USERS, Kind
from consumer.changes.portions import keys_of
from consumer.database.engine import reading
from consumer.database.tables import PENDING, RUNNING, cycles, identity, replays, versions
from consumer.errors import LedgerError
from consumer.ledger.champions import BestSince, baseline, champion
from consumer.ledger.ending import end_cycle
from consumer.ledger.leases import check_fence
from consumer.ledger.lineage import last_settled, lineage_of
from consumer.ledger.retrain_requests import take_up
from consumer.ledger.settling import much_to_forget, recently_settled, sweep, to_sweep
from schemas.cycle import CycleKind, CycleResult, Lineage
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
    last_promoted_cycle: str | None
    """The newest earlier cycle whose claim is settled: a space to which it was applied has missed nothing."""
    min_version_exclusive: int
    """The highest number of a version so far; 0 before the first."""
    attempts: int
    last_error: str | None
    """Why the last attempt failed."""
    claimed_at: float


class Base(NamedTuple):
    """The basis of a probe: the champion, and the last cycle whose claim is settled."""

    version: int | None
    last_promoted_cycle: str | None


class Cycles:
    """What the supervisor reads and writes of the ledger. At most one cycle runs.

    Every write names its fence, the token of the lease for running cycles; the same transaction checks it.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._best = BestSince()

    def running(self) -> Claim | None:
        """The cycle that is claimed and has not ended, by any instance; None where there is none."""
        with reading(self._engine) as connection:
            return _running(connection, self._best)

    def is_any_running(self) -> bool:
        """Whether a cycle is claimed and has not ended; quicker than `running`, which reads its users."""
        with reading(self._engine) as connection:
            return connection.scalar(select(cycles.c.number).where(cycles.c.state == RUNNING).limit(1)) is not None

    def claim(self, kind: CycleKind, reason: str, now: float, *, fence: int, accept: Iterable[GuardName] = ()) -> Claim:
        """Start a cycle: it gets all pending users and labels, and takes up the open requests that it answers.

        The limits in `accept` are waived for the cycle, beside those that the requests waive.

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
        claimed = self.running()  # after the commit: reading millions of users takes long, and others want to write
        assert claimed is not None
        return claimed

    def recently_learned_users(self, now: float) -> tuple[str, ...]:
        """Users who were settled after events of the last `LAG_COVERED` seconds."""
        return tuple(sorted(self._recently_learned(USERS, now)))

    def recently_learned_labels(self, now: float) -> tuple[PairKey, ...]:
        """Labels that were settled after events of the last `LAG_COVERED` seconds."""
        return tuple(sorted(map(pair_of, self._recently_learned(LABELS, now))))

    def _recently_learned(self, kind: Kind, now: float) -> Set[str]:
        with reading(self._engine) as connection:
            return recently_settled(connection, kind, now)

    def sweep(self, now: float, *, remember: bool = True) -> bool:
        """Delete some settled rows, where there were too many for one transaction; gives whether more are left."""
        with reading(self._engine) as connection:
            if not to_sweep(connection) and (remember or not much_to_forget(connection, now)):
                return False
        with self._engine.begin() as connection:
            return sweep(connection, now, remember=remember)

    def base(self) -> Base:
        """The champion and the last settled cycle as they are now."""
        with reading(self._engine) as connection:
            last = last_settled(connection)
            return Base(champion(connection), None if last is None else last.cycle_id)

    def attempt(self, cycle_id: str, number: int, *, fence: int, error: str | None = None) -> None:
        """Count the failed attempt `number` of a running cycle, beginning with 1, and store why it failed.

        Calling this again counts nothing (compare-and-set): an answer to a commit may be lost.

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
        """End a running cycle. Gives whether its claim, its users and labels, is settled.

        The claim is settled when the cycle's version becomes champion, or when the cycle ended unchanged and the
        champion answers for it; both only if the champion is still the one that the cycle was measured against
        (compare-and-set). Otherwise the claim is given back. Settling a cycle again with the same result changes
        nothing: an answer to a commit may be lost.

        Args:
            result: how the cycle ended.
            now: seconds since the epoch.
            fence: the token of the lease for running cycles.
            refused: the users and labels that the cycle refused, which are put on record with any outcome; those that
                the result names where this is not given.
            remember: whether the ledger notes of each user and label which cycle has settled it.

        Raises:
            LedgerError: the cycle is not running, and has not ended with this result.
            LeaseLost: the lease is not held with token `fence`; nothing is settled.
        """
        with self._engine.begin() as connection:
            check_fence(connection, fence)
            settled = end_cycle(connection, result, refused or RefusedByName(result), now, remember=remember)
            reached(Point.SETTLING)
            return settled


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
        last_promoted_cycle=None if last is None else last.cycle_id,
        min_version_exclusive=max(
            connection.scalar(select(func.max(versions.c.version))) or 0,
            connection.scalar(select(identity.c.min_version_exclusive)) or 0,
        ),
        attempts=row.attempts,
        last_error=row.last_error,
        claimed_at=row.claimed_at,
    )
