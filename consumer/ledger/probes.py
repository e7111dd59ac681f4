"""Probes on record: how the champion answered for pending changes before anything was learned from them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, select

from consumer.changes.kinds import KINDS
from consumer.changes.portions import figures_of, in_portion_of
from consumer.database.engine import reading
from consumer.database.tables import PENDING, cycles, probes
from consumer.ledger.champions import champion
from consumer.ledger.leases import check_fence
from schemas.labels import PairKey, pair_of

MOST_ASKED = 2000
"""The most users, and the most labels, in one probe: the newest; more would tell no more."""

_KEPT = 1000


@dataclass(frozen=True, slots=True)
class Probed:
    """One probe as it is on record."""

    at: float
    """When the probe ended, seconds since the epoch."""
    version: int | None
    """The champion that answered; None where the probe failed."""
    changes: int
    """Users and labels that were pending and untried when the probe began."""
    regret: float | None
    """What the champion has lost against its own exam; None where that is unknown."""
    told: str
    """The regret in a sentence, or why the probe failed."""
    error: float | None = None
    """Standard error of the regret."""

    @property
    def lost(self) -> float | None:
        """The regret beyond its standard error: a few labels alone can make a regret."""
        return None if self.regret is None else self.regret - (self.error or 0.0)


class Probes:
    """The prober's side of the ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def pending(self) -> tuple[tuple[str, ...], tuple[PairKey, ...], int]:
        """The newest pending users and labels that no cycle has tried, and the count of both together."""
        found: list[list[str]] = []
        total = 0
        with reading(self._engine) as connection:
            for kind in KINDS:
                of = kind.changes.c
                untried = in_portion_of(kind, PENDING), of.tried.is_(False)
                newest = select(kind.key).where(*untried).order_by(of.received_at.desc(), kind.key).limit(MOST_ASKED)
                found.append(sorted(connection.scalars(newest)))
                total += figures_of(connection, kind, PENDING).untried
        users, labels = found
        return tuple(users), tuple(map(pair_of, labels)), total

    def record(self, probed: Probed, *, fence: int) -> None:
        """Put a probe on record. Recording the same probe again changes nothing: an answer to a commit may be lost.

        Raises:
            LeaseLost: the lease is not held with token `fence`; nothing is recorded.
        """
        with self._engine.begin() as connection:
            check_fence(connection, fence)
            if connection.scalar(select(probes.c.number).where(probes.c.at == probed.at).limit(1)) is not None:
                return
            connection.execute(
                probes.insert().values(
                    at=probed.at,
                    version=probed.version,
                    changes=probed.changes,
                    regret=probed.regret,
                    told=probed.told,
                    error=probed.error,
                    after_cycle=_last_ended(connection),
                )
            )
            last = select(func.max(probes.c.number)).scalar_subquery()
            connection.execute(delete(probes).where(probes.c.number <= last - _KEPT))

    def last(self) -> Probed | None:
        """The newest probe, failed or not; None where a cycle has ended, or the champion has changed, since then."""
        with reading(self._engine) as connection:
            row = connection.execute(select(probes).order_by(probes.c.number.desc()).limit(1)).one_or_none()
            if row is None:
                return None
            # By the cycle's number and not by its time: the clock may have been set back.
            another = row.after_cycle != _last_ended(connection)
            if another or (row.version is not None and row.version != champion(connection)):
                return None
        return Probed(row.at, row.version, row.changes, row.regret, row.told, row.error)


def _last_ended(connection: Connection) -> int:
    """The number of the last cycle that has ended; 0 before the first."""
    ended = select(cycles.c.number).where(cycles.c.ended_at.is_not(None))
    return connection.scalar(ended.order_by(cycles.c.number.desc()).limit(1)) or 0
