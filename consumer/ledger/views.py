"""What people and the trigger see of the ledger. Nothing here changes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from consumer.ledger.champions import champion
from consumer.ledger.engine import reading
from consumer.ledger.kinds import KINDS
from consumer.ledger.tables import PENDING, cycles, dead_letters, gaps, ignored, offsets, versions
from schemas.cycle import CycleKind, CycleResult, Lineage, Outcome

_PAST_CYCLES = 100  # more rejections in a row than that are as bad as that
_SETTLING = {Outcome.REGISTERED, Outcome.UNCHANGED}


@dataclass(frozen=True, slots=True)
class Backlog:
    """All pending users and labels, and those that no cycle has tried, with the times by which the trigger decides."""

    users: int
    untried: int
    labels: int
    untried_labels: int
    oldest_event_at: float | None
    oldest_change: float | None
    newest_change: float | None

    @property
    def empty(self) -> bool:
        """Whether nothing is pending."""
        return self.users == self.labels == 0


@dataclass(frozen=True, slots=True)
class Held:
    """The newest cycle was held, so that somebody has to look; one that failed since tells nothing of the data."""

    cycle_id: str
    kind: str
    reason: str
    """Which limit, and the figure."""
    way_out: str
    at: float
    in_a_row: int
    """How many were held one after another."""
    asks_full: str | None
    """Why it asked for a full retrain, where that is the way out."""

    @property
    def in_words(self) -> str:
        """In a line: what is wrong, and what to do."""
        return f"{self.reason}; to do: {self.way_out}"


@dataclass(frozen=True, slots=True)
class Past:
    """What the ended cycles tell the trigger."""

    champion: int | None
    known_users: int
    known_labels: int
    last_end: float | None
    last_failed: bool
    rejections_in_a_row: int
    """Since the last cycle that settled what it claimed."""
    held: Held | None
    last_full_end: float | None
    """When the last full retrain ended, however it did."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read since the ledger began."""

    events: int
    ignored: int
    ignored_because: dict[str, int]
    """By reason, since reasons have been counted."""
    dead_letters: int
    open_letters: int
    """Dead letters that no operator has settled."""


class Views:
    """The readers' side of the ledger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def backlog(self) -> Backlog:
        """What is pending now."""
        counted = []
        with reading(self._engine) as connection:
            for kind in KINDS:
                of = kind.changes.c
                pending = of.cycle_id == PENDING
                every = select(func.count(), func.min(of.first_event_at)).where(pending)
                untried = select(func.count(), func.min(of.fresh_since), func.max(of.received_at))
                counted.append(
                    (
                        *connection.execute(every).one(),
                        *connection.execute(untried.where(pending, of.tried.is_(False))).one(),
                    )
                )
        (users, labels), oldest, (untried_users, untried_labels), fresh, newest = zip(*counted, strict=True)
        return Backlog(
            users=users,
            untried=untried_users,
            labels=labels,
            untried_labels=untried_labels,
            oldest_event_at=min(_told(oldest), default=None),
            oldest_change=min(_told(fresh), default=None),
            newest_change=max(_told(newest), default=None),
        )

    def past(self) -> Past:
        """What went before."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(
                    cycles.c.cycle_id, cycles.c.state, cycles.c.ended_at, cycles.c.known_users, cycles.c.known_labels
                )
                .where(cycles.c.ended_at.is_not(None))
                .order_by(cycles.c.number.desc())
                .limit(_PAST_CYCLES)
            ).all()
            told = [row for row in rows if row.state != Outcome.FAILED]
            in_a_row = sum(1 for _ in takewhile(lambda row: row.state == Outcome.HELD, told))
            held = _held(connection, told[0].cycle_id, in_a_row) if in_a_row else None
            fulls = select(cycles.c.ended_at).where(cycles.c.kind == CycleKind.FULL, cycles.c.ended_at.is_not(None))
            last_full_end = connection.scalar(fulls.order_by(cycles.c.number.desc()).limit(1))
            standing = champion(connection)
        since_settled = list(takewhile(lambda row: row.state not in _SETTLING, rows))
        return Past(
            champion=standing,
            known_users=next((row.known_users for row in rows if row.known_users is not None), 0),
            known_labels=next((row.known_labels for row in rows if row.known_labels is not None), 0),
            last_end=rows[0].ended_at if rows else None,
            last_failed=bool(rows) and rows[0].state == Outcome.FAILED,
            rejections_in_a_row=sum(row.state == Outcome.REJECTED for row in since_settled),
            held=held,
            last_full_end=last_full_end,
        )

    def outcomes_since_version(self) -> dict[str, int]:
        """How many cycles ended how since the last version, by outcome."""
        with reading(self._engine) as connection:
            last = select(func.max(cycles.c.number)).join(versions, versions.c.cycle_id == cycles.c.cycle_id)
            since = cycles.c.number > (connection.scalar(last) or 0), cycles.c.ended_at.is_not(None)
            rows = connection.execute(select(cycles.c.state, func.count()).where(*since).group_by(cycles.c.state))
            return dict(rows.tuples().all())

    def read(self) -> Read:
        """How much was read."""
        with reading(self._engine) as connection:
            events, none_of_ours = connection.execute(
                select(func.sum(offsets.c.events), func.sum(offsets.c.ignored))
            ).one()
            by_reason = select(ignored.c.reason, func.sum(ignored.c.events)).group_by(ignored.c.reason)
            because = {reason: int(count) for reason, count in connection.execute(by_reason)}
            by_status = select(dead_letters.c.status, func.count()).group_by(dead_letters.c.status)
            dead: dict[str, int] = dict(connection.execute(by_status).tuples().all())
        return Read(int(events or 0), int(none_of_ours or 0), because, sum(dead.values()), dead.get("open", 0))

    def open_gaps(self) -> list[dict[str, Any]]:
        """Gaps in what was read that no full retrain has made good, the oldest first."""
        whole = cycles.c.state == Outcome.REGISTERED, cycles.c.kind.in_([CycleKind.FULL, CycleKind.BOOTSTRAP])
        with reading(self._engine) as connection:
            good_until = connection.scalar(select(func.max(cycles.c.claimed_at)).where(*whole))
            since = gaps.c.at > (good_until or 0.0)
            rows = connection.execute(select(gaps).where(since).order_by(gaps.c.number)).all()
        return [
            {
                "topic": row.topic,
                "partition": row.partition,
                "from_offset": row.from_offset,
                "to_offset": row.to_offset,
                "at": _when(row.at),
                "reason": row.reason,
            }
            for row in rows
        ]

    def versions(self) -> list[dict[str, Any]]:
        """Every registered version, oldest first, as `retrainer versions --json` gives it."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(versions, cycles.c.kind, cycles.c.reason, cycles.c.lineage, cycles.c.result)
                .join(cycles, cycles.c.cycle_id == versions.c.cycle_id)
                .order_by(versions.c.version)
            ).all()
            standing = champion(connection)
        return [_version(row, standing) for row in rows]

    def last_cycle(self) -> dict[str, Any] | None:
        """How the last cycle that ended came out, and why; None before the first."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(cycles).where(cycles.c.ended_at.is_not(None)).order_by(cycles.c.number.desc()).limit(1)
            ).one_or_none()
        if row is None:
            return None
        return {
            "cycle_id": row.cycle_id,
            "kind": row.kind,
            "outcome": row.state,
            "reason": row.result["reason"],
            "way_out": row.result.get("way_out"),
            "version": row.result["version"],
            "ended_at": _when(row.ended_at),
        }

    def cycles(self) -> list[dict[str, Any]]:
        """Every cycle, oldest first: what started it, what it covered, how it ended."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(cycles).order_by(cycles.c.number)).all()
        return [
            {
                "cycle_id": row.cycle_id,
                "kind": row.kind,
                "reason": row.reason,
                "state": row.state,
                "base_version": row.base_version,
                "accept": row.accept or [],
                "settled": row.settled,
                "lineage": row.lineage,
                "claimed_at": _when(row.claimed_at),
                "ended_at": _when(row.ended_at),
                "result": row.result,
            }
            for row in rows
        ]


def _held(connection: Connection, cycle_id: str, in_a_row: int) -> Held:
    row = connection.execute(select(cycles).where(cycles.c.cycle_id == cycle_id)).one()
    found = CycleResult.model_validate(row.result)
    way_out = found.way_out or "see `retrainer status --json`"
    return Held(cycle_id, row.kind, found.reason, way_out, row.ended_at, in_a_row, found.asks_full)


def _version(row: Any, standing: int | None) -> dict[str, Any]:
    lineage = Lineage.model_validate(row.lineage)
    result = CycleResult.model_validate(row.result)
    gate = result.gate
    scores = gate.challenger if gate else None
    return {
        "version": row.version,
        "cycle_id": row.cycle_id,
        "kind": row.kind,
        "base_version": result.base_version,
        "champion": row.version == standing,
        "registered_at": _when(row.registered_at),
        "reason": row.reason,
        "changed_users": lineage.changed_users,
        "unchanged_users": lineage.unchanged_users,
        "changed_labels": lineage.changed_labels,
        "unchanged_labels": lineage.unchanged_labels,
        "offsets": lineage.model_dump(mode="json")["offsets"],
        "replayed": lineage.model_dump(mode="json")["replayed"],
        "gaps": lineage.model_dump(mode="json")["gaps"],
        "pairs": result.pairs.after if result.pairs else None,
        "metrics": scores.model_dump() if scores else None,
        "probe": result.probe.model_dump() if result.probe else None,
        "gate": gate.model_dump() if gate else None,
    }


def _told(times: Iterable[float | None]) -> list[float]:
    return [one for one in times if one is not None]


def _when(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
