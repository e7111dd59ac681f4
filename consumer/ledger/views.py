"""What people and the trigger see of the ledger. Nothing here changes the ledger."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from consumer.changes.kinds import KINDS
from consumer.changes.portions import earliest, figures_of, latest, miscounted
from consumer.database.engine import reading
from consumer.database.tables import PENDING, RUNNING, cycles, dead_letters, gaps, ignored, offsets, versions
from consumer.ledger.champions import champion
from consumer.ledger.records import cycle_record, gap_record, version_record, when
from schemas.cycle import CycleKind, CycleResult, Outcome

_AT_ONCE = 10  # versions in memory: each has the whole result of its cycle
_PAST_CYCLES = 100  # more rejections in a row are no worse
_SETTLING = {Outcome.REGISTERED, Outcome.UNCHANGED}
_REGISTERED = select(versions, cycles.c.kind, cycles.c.reason, cycles.c.lineage, cycles.c.result).join(
    cycles, cycles.c.cycle_id == versions.c.cycle_id
)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much is pending, how much of that no cycle has tried, and the times by which the trigger decides."""

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
    """The newest cycle was held, so that a person has to look. Cycles that failed since do not count."""

    cycle_id: str
    kind: str
    reason: str
    """The limit, and the figure."""
    way_out: str
    at: float
    in_a_row: int
    """How many cycles were held one after another."""
    asks_full: str | None
    """Why the cycle asks for a full retrain, where that is the way out."""

    @property
    def in_words(self) -> str:
        """What is wrong and what to do, in a line."""
        return f"{self.reason}; to do: {self.way_out}"


@dataclass(frozen=True, slots=True)
class History:
    """What the ended cycles tell the trigger."""

    champion: int | None
    known_users: int
    known_labels: int
    last_end: float | None
    last_failed: bool
    rejections_in_a_row: int
    """Since the last cycle that settled its claim."""
    held: Held | None
    last_full_end: float | None
    """When the last full retrain ended, with any outcome."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read since the ledger began."""

    events: int
    ignored: int
    ignored_because: dict[str, int]
    """By reason; counted since schema 3."""
    dead_letters: int
    open_letters: int
    """Dead letters that no operator has settled."""


class Views:
    """Reads the ledger for people and for the trigger."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def backlog(self) -> Backlog:
        """What is pending now."""
        with reading(self._engine) as connection:
            users, labels = (figures_of(connection, kind, PENDING) for kind in KINDS)
        return Backlog(
            users=users.rows,
            untried=users.untried,
            labels=labels.rows,
            untried_labels=labels.untried,
            oldest_event_at=earliest(users.first_event_at, labels.first_event_at),
            oldest_change=earliest(users.fresh_since, labels.fresh_since),
            newest_change=latest(users.received_at, labels.received_at),
        )

    def miscounted(self) -> list[str]:
        """Where the figures of `backlog` are not those of a recount, in words; slow where much is pending."""
        with reading(self._engine) as connection:
            return miscounted(connection)

    def history(self) -> History:
        """What the ended cycles tell the trigger."""
        with reading(self._engine) as connection:
            rows = connection.execute(
                select(
                    cycles.c.cycle_id, cycles.c.state, cycles.c.ended_at, cycles.c.known_users, cycles.c.known_labels
                )
                .where(cycles.c.ended_at.is_not(None))
                .order_by(cycles.c.number.desc())
                .limit(_PAST_CYCLES)
            ).all()
            judged = [row for row in rows if row.state != Outcome.FAILED]
            in_a_row = sum(1 for _ in takewhile(lambda row: row.state == Outcome.HELD, judged))
            held = _held(connection, judged[0].cycle_id, in_a_row) if in_a_row else None
            fulls = select(cycles.c.ended_at).where(cycles.c.kind == CycleKind.FULL, cycles.c.ended_at.is_not(None))
            last_full_end = connection.scalar(fulls.order_by(cycles.c.number.desc()).limit(1))
            standing = champion(connection)
        since_settled = list(takewhile(lambda row: row.state not in _SETTLING, rows))
        return History(
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
            of_versions = select(cycles.c.number).join(versions, versions.c.cycle_id == cycles.c.cycle_id)
            last = connection.scalar(of_versions.order_by(cycles.c.number.desc()).limit(1))
            since = cycles.c.number > (last or 0), cycles.c.ended_at.is_not(None)
            rows = connection.execute(select(cycles.c.state, func.count()).where(*since).group_by(cycles.c.state))
            return dict(rows.tuples().all())

    def read(self) -> Read:
        """How much was read since the ledger began."""
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
        """Gaps that no training from scratch has made good, the oldest first."""
        with reading(self._engine) as connection:
            good_until = latest(*(_last_whole(connection, kind) for kind in CycleKind if kind.from_scratch))
            since = gaps.c.at > (good_until or 0.0)
            rows = connection.execute(select(gaps).where(since).order_by(gaps.c.number)).all()
        return [gap_record(row) for row in rows]

    def versions(self, newest: int | None = None) -> list[dict[str, Any]]:
        """The `newest` registered versions, or all, oldest first, as `retrainer versions --json` gives them."""
        with closing(self.each_version()) as found:
            return list(islice(found, newest))[::-1]

    def each_version(self) -> Generator[dict[str, Any]]:
        """All of `versions`, newest first, read as they are asked for; whoever stops before the end closes it."""
        some = _REGISTERED.order_by(versions.c.version.desc()).limit(_AT_ONCE)
        with reading(self._engine) as connection:
            standing = champion(connection)
            rows = connection.execute(some).all()
            while rows:
                yield from (version_record(row, standing) for row in rows)
                rows = connection.execute(some.where(versions.c.version < rows[-1].version)).all()

    def version(self, number: int) -> dict[str, Any] | None:
        """One registered version, as `versions` gives it; None where there is no such version."""
        with reading(self._engine) as connection:
            row = connection.execute(_REGISTERED.where(versions.c.version == number)).one_or_none()
            standing = champion(connection)
        return None if row is None else version_record(row, standing)

    def cycle_of(self, version: int) -> str | None:
        """The cycle that registered a version; None where there is no such version."""
        with reading(self._engine) as connection:
            return connection.scalar(select(versions.c.cycle_id).where(versions.c.version == version))

    def count_versions(self) -> int:
        """How many versions are registered."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(versions)) or 0

    def last_cycle(self) -> dict[str, Any] | None:
        """The outcome of the last ended cycle, with its reason; None before the first."""
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
            "ended_at": when(row.ended_at),
        }

    def running(self) -> dict[str, Any] | None:
        """The running cycle and the size of its claim, as `status --json` gives it, without the users' names."""
        of = cycles.c
        which = select(of.cycle_id, of.kind, of.reason, of.attempts, of.last_error).where(of.state == RUNNING)
        with reading(self._engine) as connection:
            row = connection.execute(which).one_or_none()
            if row is None:
                return None
            users, labels = (figures_of(connection, kind, row.cycle_id).rows for kind in KINDS)
        running = {"cycle_id": row.cycle_id, "kind": row.kind, "reason": row.reason, "users": users}
        failing = {"attempts": row.attempts, "last_error": row.last_error}
        return running | ({"labels": labels} if labels else {}) | failing

    def cycle(self, cycle_id: str | None = None) -> dict[str, Any] | None:
        """A cycle by its id, or the newest one: its start, its lineage, its end; None where there is none."""
        which = select(cycles).order_by(cycles.c.number.desc()).limit(1)
        if cycle_id is not None:
            which = select(cycles).where(cycles.c.cycle_id == cycle_id)
        with reading(self._engine) as connection:
            row = connection.execute(which).one_or_none()
        return None if row is None else cycle_record(row)

    def cycles(self) -> list[dict[str, Any]]:
        """Every cycle, oldest first, with all that is on record: much, where there are many cycles."""
        with reading(self._engine) as connection:
            rows = connection.execute(select(cycles).order_by(cycles.c.number)).all()
        return [cycle_record(row) for row in rows]


def _last_whole(connection: Connection, kind: CycleKind) -> float | None:
    """When the last cycle of a kind that registered a version was claimed."""
    registered = cycles.c.state == Outcome.REGISTERED, cycles.c.kind == kind
    newest = select(cycles.c.claimed_at).where(*registered).order_by(cycles.c.number.desc())
    return connection.scalar(newest.limit(1))


def _held(connection: Connection, cycle_id: str, in_a_row: int) -> Held:
    row = connection.execute(select(cycles).where(cycles.c.cycle_id == cycle_id)).one()
    found = CycleResult.model_validate(row.result)
    way_out = found.way_out or "see `retrainer status --json`"
    return Held(cycle_id, row.kind, found.reason, way_out, row.ended_at, in_a_row, found.asks_full)
