"""Figures of the ledger that monitoring asks for: those that an index answers at once, and those that take longer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, bindparam, func, select, text

from consumer.database.engine import reading
from consumer.database.tables import dead_letters, ignored, metadata, offsets, refused_labels, refused_users, versions

OPEN = "open"
_SIZE = text(
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE n.nspname = current_schema() AND c.relkind = 'r' AND c.relname IN :names"
).bindparams(bindparam("names", expanding=True))


@dataclass(frozen=True, slots=True)
class Figures:
    """What an index answers."""

    events: int
    """Read since the ledger began."""
    ignored: dict[str, int]
    """Of these, those that are none of ours, by reason."""
    open_letters: int
    last_version_at: float | None


@dataclass(frozen=True, slots=True)
class SlowFigures:
    """What takes as long as there are rows."""

    settled_letters: dict[str, int]
    """Dead letters that are not open, by status."""
    refused_users: int
    refused_labels: int
    kept_versions: int
    deleted_versions: int
    bytes: int | None
    """On disk; None where nobody tells."""


def figures(engine: Engine) -> Figures:
    """What an index answers."""
    with reading(engine) as connection:
        by_reason = select(ignored.c.reason, func.sum(ignored.c.events)).group_by(ignored.c.reason)
        still_open = select(func.count()).select_from(dead_letters).where(dead_letters.c.status == OPEN)
        newest = select(versions.c.registered_at).order_by(versions.c.version.desc()).limit(1)
        return Figures(
            events=int(connection.scalar(select(func.sum(offsets.c.events))) or 0),
            ignored={reason: int(count) for reason, count in connection.execute(by_reason)},
            open_letters=connection.scalar(still_open) or 0,
            last_version_at=connection.scalar(newest),
        )


def slow_figures(engine: Engine) -> SlowFigures:
    """What takes as long as there are rows."""
    of, at = dead_letters.c, versions.c.deleted_at
    with reading(engine) as connection:
        settled = select(of.status, func.count()).where(of.status != OPEN).group_by(of.status)
        kept, deleted = connection.execute(select(func.count() - func.count(at), func.count(at))).one()
        refused = [
            connection.scalar(select(func.count()).select_from(table)) or 0 for table in (refused_users, refused_labels)
        ]
        return SlowFigures(
            settled_letters=dict(connection.execute(settled).tuples().all()),
            refused_users=refused[0],
            refused_labels=refused[1],
            kept_versions=kept,
            deleted_versions=deleted,
            bytes=_size(connection),
        )


def _size(connection: Connection) -> int | None:
    if connection.dialect.name == "postgresql":
        return int(connection.scalar(_SIZE, {"names": list(metadata.tables)}) or 0)
    place = connection.engine.url.database
    return None if place is None or place.startswith("file:") else _size_of_files(Path(place))


def _size_of_files(file: Path) -> int | None:
    """The database with what SQLite keeps beside it."""
    sizes = []
    for one in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        with suppress(OSError):
            sizes.append(one.stat().st_size)
    return sum(sizes) if sizes else None
