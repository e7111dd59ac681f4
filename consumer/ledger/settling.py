"""A cycle's users and labels when the cycle has ended: they are settled, or pending again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Select, case, delete, exists, literal, select, update

from consumer.changes.kinds import KINDS, Kind
from consumer.changes.pending import later
from consumer.changes.portions import Portion, close, keep, left_over, portion_of, recount, reopen
from consumer.database.dialect import greatest, least, upsert
from consumer.database.tables import PENDING, RUNNING, cycles, gaps, offsets, portions, replays
from schemas.cycle import Lineage

LAG_COVERED = 7 * 86_400.0
"""How far, in seconds, a bulk copy may lag behind the online store without a full retrain missing a change."""

SWEPT_AT_ONCE = 20_000
"""Rows that are deleted in one transaction: others want to write, too."""


def settle_changes(connection: Connection, cycle_id: str, now: float, *, remember: bool) -> None:
    """Settle a cycle's claim, for which the champion answers: its rows are deleted."""
    connection.execute(update(cycles).where(cycles.c.cycle_id == cycle_id).values(settled=True))
    sweep(connection, now, remember=remember)


def sweep(connection: Connection, now: float, *, remember: bool) -> bool:
    """Delete some settled rows, noted as learned with `remember`; gives whether more may be left."""
    room = SWEPT_AT_ONCE
    for kind in KINDS:
        room -= 0 if remember else _forget(connection, kind, now - LAG_COVERED, room)
        if room <= 0:
            return True
    for kind, number in to_sweep(connection):
        room -= _sweep(connection, kind, number, room, remember=remember)
        if room <= 0:
            return True
    return False


def much_to_forget(connection: Connection, now: float) -> bool:
    """Whether more is due to be forgotten than the settling of a cycle deletes in passing."""
    return any(
        connection.scalar(_outlived(kind, now - LAG_COVERED).offset(SWEPT_AT_ONCE).limit(1)) is not None
        for kind in KINDS
    )


def to_sweep(connection: Connection) -> list[tuple[Kind, int]]:
    """The portions whose rows are settled."""
    running = connection.scalar(select(cycles.c.cycle_id).where(cycles.c.state == RUNNING))
    return [(kind, number) for kind in KINDS for number in left_over(connection, kind, running)]


def recently_settled(connection: Connection, kind: Kind, now: float) -> set[str]:
    """The keys of what was settled and had events in the last `LAG_COVERED` seconds, deleted or not."""
    since, changes = now - LAG_COVERED, kind.changes.c
    portions = [number for of, number in to_sweep(connection) if of is kind]
    remembered = select(kind.learned.c[kind.key.name]).where(kind.learned.c.received_at >= since)
    still_there = select(kind.key).where(changes.portion.in_(portions), changes.received_at >= since)
    return {*connection.scalars(remembered), *connection.scalars(still_there)}


def _outlived(kind: Kind, since: float) -> Select[Any]:
    return select(kind.learned.c[kind.key.name]).where(kind.learned.c.received_at < since)


def _forget(connection: Connection, kind: Kind, since: float, room: int) -> int:
    """Delete at most `room` of the rows that were remembered for long enough; gives how many."""
    some = _outlived(kind, since).limit(room)
    of_them = kind.learned.c[kind.key.name].in_(some)
    mark_forgotten(connection, select(kind.learned.c.cycle_id).where(of_them, kind.learned.c.cycle_id.is_not(None)))
    return connection.execute(delete(kind.learned).where(of_them)).rowcount


def _sweep(connection: Connection, kind: Kind, number: int, room: int, *, remember: bool) -> int:
    """Delete the first rows of a portion, at most `room`; gives how many."""
    changes = kind.changes
    of_portion = changes.c.portion == number
    end = connection.scalar(select(kind.key).where(of_portion).order_by(kind.key).offset(room - 1).limit(1))
    which = (of_portion,) if end is None else (of_portion, kind.key <= end)
    cycle_id = select(portions.c.cycle_id).where(portions.c.kind == kind.name, portions.c.number == number)
    if remember:
        note_learned(connection, kind, which, cycle_id.scalar_subquery())
    else:
        mark_forgotten(connection, cycle_id)
    gone = connection.execute(delete(changes).where(*which)).rowcount
    if end is None:
        close(connection, kind, number)
    return gone


def settle_offsets(connection: Connection, cycle_id: str) -> None:
    """Note that a version covers the cycle's offsets; later offsets are for the next version."""
    cycle = connection.execute(select(cycles.c.lineage, cycles.c.claimed_at).where(cycles.c.cycle_id == cycle_id)).one()
    # A topic that was recreated during the cycle has other records at the claim's offsets.
    recreated = (gaps.c.to_offset < gaps.c.from_offset) & (gaps.c.at >= cycle.claimed_at)
    for topic, ranges in Lineage.model_validate(cycle.lineage).offsets.items():
        for partition, (_, end) in ranges.items():
            of_partition = offsets.c.topic == topic, offsets.c.partition == partition
            was_recreated = exists().where(gaps.c.topic == topic, gaps.c.partition == partition, recreated)
            settled = least(literal(end, BigInteger), offsets.c.next_offset)
            connection.execute(update(offsets).where(*of_partition, ~was_recreated).values(settled_offset=settled))


def note_learned(
    connection: Connection, kind: Kind, which: tuple[ColumnElement[bool], ...], cycle_id: ColumnElement[str]
) -> None:
    """Note of these changes that a cycle has settled them, in place of what was noted of their users or labels."""
    changes, learned = kind.changes, kind.learned
    columns = [column.name for column in learned.c if column.name != "cycle_id"]
    settled = select(*(changes.c[name] for name in columns), cycle_id).where(*which)
    known = upsert(connection, learned).from_select([*columns, "cycle_id"], settled)
    newest: dict[str, Any] = {name: known.excluded[name] for name in [*columns, "cycle_id"] if name != kind.key.name}
    # Of a row that went back in time, as its clock was set, the later time counts: a copy may lag that long.
    newest["received_at"] = greatest(learned.c.received_at, known.excluded.received_at)
    connection.execute(known.on_conflict_do_update(index_elements=[kind.key.name], set_=newest))


def mark_forgotten(connection: Connection, cycle_ids: Select[Any]) -> None:
    """Note of these cycles that nobody knows whom they have settled: a rollback cannot give that back."""
    unmarked = cycles.c.cycle_id.in_(cycle_ids), cycles.c.forgotten.is_(False)
    connection.execute(update(cycles).where(*unmarked).values(forgotten=True))


def give_back(connection: Connection, cycle_id: str, *, tried: bool | None) -> None:
    """Make a cycle's claim pending again; `tried` is None where each row stays tried or untried as it was."""
    for kind in KINDS:
        claimed = portion_of(connection, kind, cycle_id)
        if claimed is not None:
            _give_back(connection, kind, claimed, tried)
    connection.execute(update(replays).where(replays.c.cycle_id == cycle_id).values(cycle_id=PENDING))


def _give_back(connection: Connection, kind: Kind, claimed: Portion, tried: bool | None) -> None:
    """Merge the claimed portion with the open one: the two rows of a key become one, and the smaller portion moves."""
    came = portion_of(connection, kind, PENDING)
    if came is None or came.figures.rows <= claimed.figures.rows:
        changes = kind.changes
        if tried is not None:
            whole = changes.c.portion == claimed.number, changes.c.tried.is_not(tried)
            connection.execute(update(changes).where(*whole).values(tried=tried))
        if came is not None:
            _move(connection, kind, came.number, claimed.number, partial(later, kind))
        reopen(connection, kind, claimed.number)
        number = claimed.number
    else:
        _move(connection, kind, claimed.number, came.number, partial(earlier, kind), tried=tried)
        number = came.number
    keep(connection, kind, number, recount(connection, kind, number))


def _move(
    connection: Connection,
    kind: Kind,
    number: int,
    to: int,
    merged: Callable[[Any], dict[str, Any]],
    *,
    tried: bool | None = None,
) -> None:
    """Move the rows of a portion to another and close it; `merged` gives what an existing row becomes."""
    changes = kind.changes
    kept = [column for column in changes.c if column.name not in {"portion", "tried"}]
    as_tried = changes.c.tried if tried is None else literal(tried)
    rows = select(*kept, literal(to), as_tried).where(changes.c.portion == number)
    moved = upsert(connection, changes).from_select([*(column.name for column in kept), "portion", "tried"], rows)
    there = moved.on_conflict_do_update(index_elements=list(changes.primary_key), set_=merged(moved.excluded))
    connection.execute(there)
    connection.execute(delete(changes).where(changes.c.portion == number))
    close(connection, kind, number)


def earlier(kind: Kind, old: Any) -> dict[str, Any]:
    """What becomes of a row when an earlier change of the same user or label, claimed or settled, comes back."""
    changes = kind.changes.c
    return {
        "events": changes.events + old.events,
        "first_position": old.first_position,
        "first_event_at": least(changes.first_event_at, old.first_event_at),
        "last_event_at": greatest(changes.last_event_at, old.last_event_at),
        "fresh_since": case((old.tried, changes.fresh_since), else_=least(changes.fresh_since, old.fresh_since)),
    }
