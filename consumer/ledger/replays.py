"""Replays on record, for people and for resuming a replay that was cut short."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Row, select

from consumer.database.engine import reading
from consumer.database.tables import PENDING, cycles, replays, versions
from schemas.spans import united


class Replays:
    """Reads replays; `Intake.record_replay` and `consumer.dead_letters.replay` write them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def every(self) -> list[dict[str, Any]]:
        """Every replay, oldest first: the request, what was found, and how its cycle ended."""
        of = replays.c
        cycle = (cycles.c.state, cycles.c.kind.label("cycle_kind"), versions.c.version)
        listed = (
            select(replays, *cycle)
            .join(cycles, cycles.c.cycle_id == of.cycle_id, isouter=True)
            .join(versions, versions.c.cycle_id == of.cycle_id, isouter=True)
            .order_by(of.number)
        )
        with reading(self._engine) as connection:
            return [_record(row) for row in connection.execute(listed)]

    def request_of(self, replay_id: str) -> int | None:
        """The number of a stored replay's request; None where the replay is not stored."""
        with reading(self._engine) as connection:
            found = connection.scalar(select(replays.c.request).where(replays.c.replay_id == replay_id))
            return None if found is None else int(found)


def _record(row: Row[Any]) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": datetime.fromtimestamp(row.at, UTC).isoformat(),
        "of": None if row.told is None else "dead letters" if "dead_letters" in row.told else "window",
        "asked": row.told,
        "ranges": united(row.ranges),
        "request": row.request,
        "events": row.events,
        "users": row.users,
        "labels": row.labels,
        "cycle_id": row.cycle_id if row.cycle_id != PENDING else None,
        "cycle_kind": row.cycle_kind,
        "outcome": row.state if row.cycle_id != PENDING else "pending",
        "version": row.version,
    }
