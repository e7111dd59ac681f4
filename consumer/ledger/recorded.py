"""What is on record of a version that is to be trained again, and how much has changed since its cycle began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, func, select, union

from consumer.changes.kinds import LABELS, USERS, Kind
from consumer.database.engine import reading
from consumer.database.tables import cycles, versions
from consumer.ledger.ledger import Ledger
from schemas.cycle import CycleKind, Lineage


@dataclass(frozen=True, slots=True)
class Recorded:
    """A version, and the cycle that made it."""

    cycle_id: str
    kind: CycleKind
    base_version: int | None
    base_deleted: bool
    """Whether the base has left the registry."""
    lineage: Lineage
    claimed_at: float
    deleted_at: float | None


class ChangedSince(NamedTuple):
    """Users and labels whose last event arrived after a moment, settled or not."""

    users: int
    labels: int


def recorded(ledger: Ledger, version: int) -> Recorded | None:
    """The record of a version; None where the ledger knows no such version."""
    columns = (
        cycles.c.cycle_id,
        cycles.c.kind,
        cycles.c.base_version,
        cycles.c.lineage,
        cycles.c.claimed_at,
        versions.c.deleted_at,
    )
    of_version = select(*columns).join(versions, versions.c.cycle_id == cycles.c.cycle_id)
    with reading(ledger.engine) as connection:
        row = connection.execute(of_version.where(versions.c.version == version)).one_or_none()
        if row is None:
            return None
        base = select(versions.c.deleted_at).where(versions.c.version == row.base_version)
        base_deleted_at = connection.scalar(base)
    return Recorded(
        cycle_id=row.cycle_id,
        kind=CycleKind(row.kind),
        base_version=row.base_version,
        base_deleted=base_deleted_at is not None,
        lineage=Lineage.model_validate(row.lineage),
        claimed_at=row.claimed_at,
        deleted_at=row.deleted_at,
    )


def changed_since(ledger: Ledger, at: float) -> ChangedSince:
    """How many have changed since `at` (seconds since the epoch, by our clock).

    With `RETRAINER_LEDGER__REMEMBER` off the ledger forgets what was settled more than a week ago, so they may be more.
    """
    with reading(ledger.engine) as connection:
        return ChangedSince(*(_count(connection, kind, at) for kind in (USERS, LABELS)))


def _count(connection: Connection, kind: Kind, at: float) -> int:
    settled = select(kind.learned.c[kind.key.name].label("key")).where(kind.learned.c.received_at > at)
    pending = select(kind.key.label("key")).where(kind.changes.c.received_at > at)
    return connection.scalar(select(func.count()).select_from(union(settled, pending).subquery())) or 0
