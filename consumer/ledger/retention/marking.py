"""Deleting versions, as the ledger keeps it: marked first, deleted after that, and noted last.

Marked first, as a version that is marked and still there harms nobody, while one that is gone and not marked could be
promoted, or have a cycle measured against it. Whoever marks looks at who needs what in the same transaction, and every
other writer waits for that. What is marked and not noted as gone is deleted by the next who prunes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, Engine, func, select, update

from consumer.database.engine import reading
from consumer.database.tables import leases, versions
from consumer.ledger.leases import CYCLES
from consumer.ledger.retention.needed import needed
from consumer.ledger.retention.policy import Retention, retention
from schemas.fault_points import Point, reached

AT_ONCE = 20
"""Versions that are marked in one transaction, and deleted by one process."""


class Marked(NamedTuple):
    """Versions to delete from the registry."""

    versions: dict[int, str]
    """Version: the cycle that made it."""
    fence: int
    """The token of whoever runs cycles now."""


class Pruning:
    """What the ledger knows of versions that go. Safe to use from several threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def plan(
        self, keep: int | None, channels: Collection[str] = (), further: Mapping[int, str] | None = None
    ) -> Retention:
        """What stays, why, and what would go now; see `needed` for the arguments."""
        with reading(self._engine) as connection:
            return _plan(connection, keep, channels, further)

    def mark(
        self,
        keep: int | None,
        now: float,
        channels: Collection[str] = (),
        further: Mapping[int, str] | None = None,
        most: int = AT_ONCE,
    ) -> Marked:
        """Mark at most `most` versions as deleted; gives all that are marked and not known to be gone.

        Args:
            keep: how many of the newest stay; None: all.
            now: seconds since the epoch.
            channels: see `needed`.
            further: see `needed`.
            most: the oldest versions are marked first, so many.
        """
        with self._engine.begin() as connection:
            waiting = _waiting(connection)
            goes = _plan(connection, keep, channels, further).goes[: max(0, most - len(waiting))]
            connection.execute(update(versions).where(versions.c.version.in_(goes)).values(deleted_at=now))
            token = connection.scalar(select(leases.c.token).where(leases.c.name == CYCLES))
            found = Marked(_waiting(connection), token or 0)
        reached(Point.PRUNE_MARKED)
        return found

    def gone(self, freed: Mapping[int, int]) -> None:
        """Note that versions are gone from the registry, and how many bytes of each were freed."""
        with self._engine.begin() as connection:
            for version, size in freed.items():
                marked = versions.c.version == version, versions.c.deleted_at.is_not(None)
                connection.execute(update(versions).where(*marked).values(freed_bytes=size))

    def numbers(self) -> set[int]:
        """The versions that this ledger knows, deleted or not."""
        with reading(self._engine) as connection:
            return set(connection.scalars(select(versions.c.version)))

    def newest(self) -> int:
        """The highest number of a version so far; 0 before the first."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.max(versions.c.version))) or 0


def _plan(
    connection: Connection, keep: int | None, channels: Collection[str], further: Mapping[int, str] | None
) -> Retention:
    there = connection.scalars(select(versions.c.version).where(versions.c.deleted_at.is_(None))).all()
    return retention(there, keep, needed(connection, channels, further))


def _waiting(connection: Connection) -> dict[int, str]:
    marked = versions.c.deleted_at.is_not(None), versions.c.freed_bytes.is_(None)
    rows = connection.execute(select(versions.c.version, versions.c.cycle_id).where(*marked))
    return dict(rows.tuples().all())
