"""What became of one user's changes: pending, claimed, settled by whom, refused, tried and given back by whom."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Engine, select

from consumer.changes.kinds import USERS, Kind
from consumer.database.dialect import storable
from consumer.database.engine import reading
from consumer.database.tables import PENDING, RUNNING, cycles, portions
from consumer.ledger.refusals import Refusal

_MOST_TRIES = 20


@dataclass(frozen=True, slots=True)
class ChangeOnRecord:
    """The last change of a user, in one of its states. Times are seconds since the epoch.

    Of changes that were settled by an earlier release only `received_at` is known.
    """

    received_at: float
    """When the last event was stored, by the clock of the service."""
    operation: str | None = None
    events: int | None = None
    first_position: str | None = None
    last_position: str | None = None
    first_event_at: float | None = None
    last_event_at: float | None = None
    cycle_id: str | None = None
    """The cycle that has claimed or settled it."""
    fresh_since: float | None = None
    """When the oldest event was stored that no cycle has tried."""
    tried: bool = False
    """Given back by a cycle that settled nothing."""
    learned_by: str | None = None
    """The cycle of a version that has learned it, and is not the champion."""


@dataclass(frozen=True, slots=True)
class Try:
    """A cycle that had claimed a pending change, and gave it back."""

    cycle_id: str
    state: str
    """How the cycle ended."""
    reason: str
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class UserOnRecord:
    """All that the ledger says of one user; None and empty where it says nothing."""

    pending: ChangeOnRecord | None
    claimed: ChangeOnRecord | None
    """By the running cycle."""
    settled: ChangeOnRecord | None
    """The last one that a champion answers for."""
    refused: Refusal | None
    tries: tuple[Try, ...]
    """The cycles that gave the pending change back, the newest first, at most 20."""


def user_on_record(engine: Engine, key: str, kind: Kind = USERS) -> UserOnRecord:
    """What the ledger says of a user."""
    key = storable(key)
    with reading(engine) as connection:
        running = connection.scalar(select(cycles.c.cycle_id).where(cycles.c.state == RUNNING))
        changes = [_change(row) for row in _changes(connection, kind, key)]
        pending = next((one for one in changes if one.cycle_id == PENDING), None)
        claimed = next((one for one in changes if one.cycle_id == running), None) if running else None
        swept = [one for one in changes if one.cycle_id not in {PENDING, running}]  # settled, and not yet noted
        tries = _tries(connection, pending) if pending is not None else ()
        return UserOnRecord(
            pending, claimed, _settled(connection, kind, key, swept), _refused(connection, kind, key), tries
        )


def _changes(connection: Connection, kind: Kind, key: str) -> list[Any]:
    """The rows of a user with the cycle of each; there are few portions, and each is looked into by its key."""
    changes = kind.changes
    of_portion = (portions.c.number == changes.c.portion) & (portions.c.kind == kind.name)
    found = select(changes, portions.c.cycle_id).join(portions, of_portion).where(kind.key == key)
    return sorted(connection.execute(found).all(), key=lambda row: row.portion)


def _settled(connection: Connection, kind: Kind, key: str, swept: list[ChangeOnRecord]) -> ChangeOnRecord | None:
    if swept:
        return swept[-1]
    learned = kind.learned
    row = connection.execute(select(learned).where(learned.c[kind.key.name] == key)).one_or_none()
    return None if row is None else _change(row)


def _refused(connection: Connection, kind: Kind, key: str) -> Refusal | None:
    refused = kind.refused.c
    columns = refused.reason, refused.since, refused.last_at, refused.times, refused.cycle_id
    row = connection.execute(select(*columns).where(refused[kind.key.name] == key)).one_or_none()
    return None if row is None else Refusal(key, *row)


def _tries(connection: Connection, pending: ChangeOnRecord) -> tuple[Try, ...]:
    """The cycles since the last settled one that were claimed when the change was there: a claim takes all."""
    settled = select(cycles.c.number).where(cycles.c.settled).order_by(cycles.c.number.desc()).limit(1)
    columns = cycles.c.cycle_id, cycles.c.state, cycles.c.result, cycles.c.claimed_at, cycles.c.ended_at
    since = select(*columns).where(cycles.c.number > (connection.scalar(settled) or 0), cycles.c.state != RUNNING)
    rows = connection.execute(since.order_by(cycles.c.number.desc()).limit(_MOST_TRIES)).all()
    there = pending.received_at if pending.tried else pending.fresh_since or pending.received_at
    return tuple(
        Try(row.cycle_id, row.state, (row.result or {}).get("reason", ""), row.ended_at)
        for row in rows
        if row.claimed_at >= there
    )


def _change(row: Any) -> ChangeOnRecord:
    known = {field.name for field in fields(ChangeOnRecord)}
    return ChangeOnRecord(**{name: value for name, value in row._asdict().items() if name in known})
