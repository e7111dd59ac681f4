"""Cycles and versions of the past, for people who ask. Each read looks into an index, and is as long as its answer."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from heapq import merge
from itertools import islice, product, takewhile
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, select

from consumer.database.dialect import storable
from consumer.database.engine import reading
from consumer.database.tables import RUNNING, cycles, promotions, versions
from consumer.errors import ConsumerError
from consumer.ledger.champions import champion
from consumer.ledger.records import cycle_record, when
from schemas.cycle import CycleKind, Outcome

CHAMPION, LAST = "champion", "last"
"""Names for the cycle of the champion, and for the newest one."""

_AT_ONCE = 4  # a cycle on record may be as large as 20 KB, and ten times that in memory
_CYCLE = re.compile(r"c(\d+)(?:-[0-9a-f]*)?", re.ASCII)
_MOST = 2**31 - 1  # a server's integers end here


class State(StrEnum):
    """What a cycle may be: running, or how it ended."""

    RUNNING = RUNNING
    REGISTERED = Outcome.REGISTERED.value
    UNCHANGED = Outcome.UNCHANGED.value
    REJECTED = Outcome.REJECTED.value
    INCONCLUSIVE = Outcome.INCONCLUSIVE.value
    HELD = Outcome.HELD.value
    FAILED = Outcome.FAILED.value


class NotOnRecord(ConsumerError):  # noqa: N818
    """The ledger knows no such cycle or version."""


@dataclass(frozen=True, slots=True)
class WhichCycles:
    """Which cycles are wanted; none of a field: any."""

    states: tuple[State, ...] = ()
    kinds: tuple[CycleKind, ...] = ()
    since: float | None = None
    """Claimed at this time or later. Cycles are claimed in order; where a clock was set back, what is before it is not
    looked at."""
    before: int | None = None
    """Earlier than the cycle of this number."""


def find_cycles(engine: Engine, which: WhichCycles, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` of the wanted cycles, newest first, each as `past_cycle` gives it."""
    with closing(each_cycle(engine, which)) as found:
        return list(islice(found, limit))


def each_cycle(engine: Engine, which: WhichCycles) -> Generator[dict[str, Any]]:
    """The wanted cycles, newest first, read as they are asked for; whoever stops before the end closes it."""
    by_state: list[list[ColumnElement[bool]]] = [[cycles.c.state == state] for state in which.states] or [[]]
    by_kind: list[list[ColumnElement[bool]]] = [[cycles.c.kind == kind] for kind in which.kinds] or [[]]
    if which.states and not which.kinds:
        by_kind = [[cycles.c.kind == kind] for kind in CycleKind]  # so that each read is in the order of an index
    with reading(engine) as connection:
        streams = [_newest(connection, [*state, *kind], which) for state, kind in product(by_state, by_kind)]
        newest = merge(*streams, key=lambda row: row.number, reverse=True)
        yield from (past_cycle(connection, row) for row in newest)


def find_cycle(engine: Engine, name: str) -> dict[str, Any]:
    """One cycle as `past_cycle` gives it.

    Args:
        engine: of the ledger.
        name: the number of a version, for the cycle that made it; a cycle's id or its beginning (`c000012`);
            `champion`; or `last`.

    Raises:
        NotOnRecord: the ledger knows none of this name.
    """
    name = storable(name)
    with reading(engine) as connection:
        wanted = _named(connection, name)
        row = None if wanted is None else connection.execute(select(cycles).where(wanted)).one_or_none()
        if row is not None and "-" in name and not row.cycle_id.startswith(name):
            row = None  # of this number, and another one
        if row is None:
            raise NotOnRecord(_unknown(connection, name))
        return past_cycle(connection, row)


def past_cycle(connection: Connection, row: Any) -> dict[str, Any]:
    """A row of `cycles` with all that is on record, as `--json` gives it; `version` is null where it has none."""
    return {
        "number": row.number,
        **cycle_record(row),
        "baseline_version": row.anchor_version,
        "attempts": row.attempts,
        "last_error": row.last_error,
        "version": _version(connection, row.cycle_id),
    }


@dataclass(frozen=True, slots=True)
class Ended:
    """Cycles that have ended after a certain one."""

    cycles: list[dict[str, Any]]
    """The oldest of them, in order, each as `past_cycle` gives it."""
    too_old: int
    """How many more had ended before the time that was asked for."""
    last_too_old: int
    """The number of the last of those; 0 without any."""


def find_ended(engine: Engine, after: int, since: float, limit: int) -> Ended:
    """The oldest `limit` of the cycles after the number `after` that ended at the time `since` or later."""
    ended = cycles.c.number > after, cycles.c.state != RUNNING
    with reading(engine) as connection:
        counted = select(func.count(), func.max(cycles.c.number)).where(*ended, cycles.c.ended_at < since)
        too_old, last = connection.execute(counted).one()
        newer = select(cycles).where(*ended, cycles.c.number > (last or 0)).order_by(cycles.c.number).limit(limit)
        found = [past_cycle(connection, row) for row in connection.execute(newer).all()]
        return Ended(found, too_old, last or 0)


def later_from_scratch(engine: Engine, number: int) -> dict[str, Any] | None:
    """The newest cycle after the cycle `number` that has read every user and registered a version; None without one."""
    registered = cycles.c.state == Outcome.REGISTERED, cycles.c.number > number
    with reading(engine) as connection:
        newest = [
            connection.execute(
                select(cycles).where(*registered, cycles.c.kind == kind).order_by(cycles.c.number.desc()).limit(1)
            ).one_or_none()
            for kind in CycleKind
            if kind.from_scratch
        ]
        found = max((row for row in newest if row is not None), key=lambda row: row.number, default=None)
        return None if found is None else past_cycle(connection, found)


def _newest(connection: Connection, wanted: list[ColumnElement[bool]], which: WhichCycles) -> Iterator[Any]:
    """Rows of `cycles`, newest first, read some at a time; up to the first that was claimed before `since`."""
    rows, since = _read(connection, wanted, _MOST if which.before is None else which.before), which.since
    return rows if since is None else takewhile(lambda row: row.claimed_at >= since, rows)


def _read(connection: Connection, wanted: list[ColumnElement[bool]], before: int) -> Iterator[Any]:
    while True:
        some = select(cycles).where(*wanted, cycles.c.number < before).order_by(cycles.c.number.desc()).limit(_AT_ONCE)
        rows = connection.execute(some).all()
        yield from rows
        if len(rows) < _AT_ONCE:
            return
        before = rows[-1].number


def _named(connection: Connection, name: str) -> ColumnElement[bool] | None:
    if name == LAST:
        number = connection.scalar(select(cycles.c.number).order_by(cycles.c.number.desc()).limit(1))
        return None if number is None else cycles.c.number == number
    if name == CHAMPION or (name.isascii() and name.isdecimal()):
        version = champion(connection) if name == CHAMPION else min(int(name), _MOST)
        cycle_id = connection.scalar(select(versions.c.cycle_id).where(versions.c.version == version))
        return None if cycle_id is None else cycles.c.cycle_id == cycle_id
    if found := _CYCLE.fullmatch(name):
        return cycles.c.number == min(int(found[1]), _MOST)
    return cycles.c.cycle_id == name


def _unknown(connection: Connection, name: str) -> str:
    last = connection.scalar(select(cycles.c.cycle_id).order_by(cycles.c.number.desc()).limit(1))
    if last is None:
        return f"no cycle has run yet, so there is no '{name}'"
    if name == CHAMPION:
        return "no version is champion yet; `retrainer cycles` lists what has happened"
    newest = connection.scalar(select(versions.c.version).order_by(versions.c.version.desc()).limit(1))
    known = "no version yet" if newest is None else f"versions up to {newest}"
    return f"there is no cycle or version '{name}': the ledger has cycles up to {last}, and {known}"


def _version(connection: Connection, cycle_id: str) -> dict[str, Any] | None:
    row = connection.execute(select(versions).where(versions.c.cycle_id == cycle_id)).one_or_none()
    if row is None:
        return None
    return {
        "version": row.version,
        "registered_at": when(row.registered_at),
        "champion": row.version == champion(connection),
        "not_promoted": row.not_promoted,
        "withdrawn": row.withdrawn,
        "deleted_at": when(row.deleted_at),
        "promotions": [_promotion(connection, each) for each in _promotions(connection, row.version)],
    }


def _promotions(connection: Connection, version: int) -> list[Any]:
    of_version = select(promotions).where(promotions.c.version == version).order_by(promotions.c.number)
    return list(connection.execute(of_version).all())


def _promotion(connection: Connection, row: Any) -> dict[str, Any]:
    """One time that a version became champion, and until when it was."""
    following = (
        select(promotions.c.version, promotions.c.at)
        .where(promotions.c.number > row.number)
        .order_by(promotions.c.number)
        .limit(1)
    )
    after = connection.execute(following).one_or_none()
    return {
        "at": when(row.at),
        "action": row.action,
        "by": row.by,
        "reason": row.reason,
        "previous": row.previous,
        "until": None if after is None else when(after.at),
        "followed_by": None if after is None else after.version,
    }
