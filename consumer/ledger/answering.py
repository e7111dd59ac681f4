"""What a version answers for: the cycles whose claims it has learned, and what becomes of them when the champion moves.

A version has learned what its base had learned, what cycles in between found unchanged on that base, and its own
claim; a version from scratch has learned everything before it. `cycles.settled` says of each cycle whether the champion
answers for its claim. When a person moves the champion, those marks move, and the changes follow them: what the
champion has not learned is pending again, as tried, and what it has learned leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, false, literal, or_, select, update

from consumer.changes.kinds import KINDS, Kind
from consumer.changes.portions import in_portion_of, keep, open_portion, portion_of, recount
from consumer.database.dialect import upsert
from consumer.database.tables import PENDING, RUNNING, cycles, gaps, offsets, replays, versions
from consumer.ledger.settling import earlier, mark_forgotten, note_learned, sweep
from schemas.cycle import CycleKind, Lineage, Outcome

_AT_ONCE = 500
_ANSWERED = cycles.c.settled.is_(True)
_UNANSWERED = cycles.c.settled.is_(False), cycles.c.state != RUNNING


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of changes when the champion moved, by kind: `users` and `labels`."""

    given_back: dict[str, int]
    """Changes that the new champion has not learned; they are pending again."""
    learned: dict[str, int]
    """Pending changes that the new champion has learned; they are settled."""
    forgotten: int
    """Cycles that have settled changes without a note of whose: what the champion has not learned of theirs is lost to
    the ledger, and only a full retrain reads it again."""


def answer_for(connection: Connection, version: int, now: float, *, remember: bool) -> Moved:
    """Have the ledger say what `version`, the champion from now on, has learned: marks, changes, offsets, replays."""
    while sweep(connection, now, remember=remember):
        pass
    known = connection.execute(_known()).all()
    answered = _answered_by(known, version)
    off = [row.number for row in known if row.settled and row.number not in answered]
    noted = _noted(connection)
    on = [
        row.number
        for row in known
        # An unchanged cycle whose changes were given back at once, and are noted nowhere, has settled nothing.
        if not row.settled and row.number in answered and (row.version is not None or row.cycle_id in noted)
    ]
    forgotten = sum(row.forgotten for row in _of(connection, off, cycles.c.forgotten))
    _mark(connection, off, settled=False)
    _mark(connection, on, settled=True)
    given_back = {kind.name: _give_back(connection, kind) for kind in KINDS}
    learned = {kind.name: settle_learned(connection, kind, remember=remember) for kind in KINDS}
    _move_offsets(connection, off, on, next((row.number for row in known if row.version == version), None))
    _move_replays(connection, version)
    return Moved(given_back, learned, forgotten)


def mark_learned(connection: Connection, cycle_id: str) -> None:
    """Note of a cycle's claim that its version has learned it, though the version is not champion.

    What the champion has learned meanwhile stays noted as that.
    """
    for kind in KINDS:
        changes, answered = kind.changes, select(cycles.c.cycle_id).where(_ANSWERED)
        not_by_champion = or_(changes.c.learned_by.is_(None), changes.c.learned_by.not_in(answered))
        claimed = in_portion_of(kind, cycle_id)
        connection.execute(update(changes).where(claimed, not_by_champion).values(learned_by=cycle_id))


def settle_learned(connection: Connection, kind: Kind, *, remember: bool) -> int:
    """Settle pending changes that the champion has learned; gives how many."""
    found = portion_of(connection, kind, PENDING)
    if found is None or not found.figures.rows:
        return 0
    changes = kind.changes
    answered = select(cycles.c.cycle_id).where(_ANSWERED)
    which = changes.c.portion == found.number, changes.c.learned_by.in_(answered)
    if remember:
        note_learned(connection, kind, which, changes.c.learned_by)
    else:
        mark_forgotten(connection, select(changes.c.learned_by).where(*which))
    gone = connection.execute(delete(changes).where(*which)).rowcount
    if gone:
        keep(connection, kind, found.number, recount(connection, kind, found.number))
    return gone


def _known() -> Any:
    """The cycles that a champion may answer for."""
    of = cycles.c
    columns = of.number, of.cycle_id, of.kind, of.state, of.base_version, of.settled, versions.c.version
    answering = of.state.in_([Outcome.REGISTERED.value, Outcome.UNCHANGED.value])
    return select(*columns).join(versions, versions.c.cycle_id == of.cycle_id, isouter=True).where(answering)


def _answered_by(known: Iterable[Row[Any]], version: int) -> set[int]:
    """The numbers of the cycles that a version answers for as champion."""
    made_by = {row.version: row for row in known if row.version is not None}
    unchanged: dict[int | None, list[int]] = {}
    for row in known:
        if row.version is None:
            unchanged.setdefault(row.base_version, []).append(row.number)
    found, at = set(unchanged.get(version, ())), made_by.get(version)
    while at is not None and at.number not in found:
        found.add(at.number)
        if CycleKind(at.kind).from_scratch:
            return found | {row.number for row in known if row.number < at.number}
        found.update(number for number in unchanged.get(at.base_version, ()) if number < at.number)
        at = made_by.get(at.base_version)
    return found


def _noted(connection: Connection) -> set[str]:
    """The cycles that have learned changes which are not settled."""
    found: set[str] = set()
    for kind in KINDS:
        learned_by = kind.changes.c.learned_by
        found.update(connection.scalars(select(learned_by).where(learned_by.is_not(None)).distinct()))
    return found


def _mark(connection: Connection, numbers: Iterable[int], *, settled: bool) -> None:
    for some in _in_portions(numbers):
        connection.execute(update(cycles).where(cycles.c.number.in_(some)).values(settled=settled))


def _give_back(connection: Connection, kind: Kind) -> int:
    """Make pending, as tried, what the champion has not learned; gives how much.

    What is claimed has a later change: it comes back with its cycle, or is learned by it. Beside it the earlier one
    would meet it when the cycle gives back: the merged row would be of the earlier event, or noted as learned.
    """
    changes, learned = kind.changes, kind.learned
    lost = learned.c.cycle_id.in_(select(cycles.c.cycle_id).where(*_UNANSWERED))
    running = connection.scalar(select(cycles.c.cycle_id).where(cycles.c.state == RUNNING))
    key = learned.c[kind.key.name]
    claimed = select(kind.key).where(false() if running is None else in_portion_of(kind, running))
    portion = open_portion(connection, kind).number
    # A change that is pending again is as old as when it arrived.
    others = {"portion": literal(portion), "fresh_since": learned.c.received_at, "tried": literal(True)}
    others["learned_by"] = learned.c.cycle_id
    names = [column.name for column in learned.c if column.name != "cycle_id"]
    rows = select(*(learned.c[name] for name in names), *others.values()).where(lost, key.not_in(claimed))
    back = upsert(connection, changes).from_select([*names, *others], rows)
    merged = back.on_conflict_do_update(index_elements=list(changes.primary_key), set_=earlier(kind, back.excluded))
    connection.execute(merged)
    gone = connection.execute(delete(learned).where(lost)).rowcount
    if gone:
        keep(connection, kind, portion, recount(connection, kind, portion))
    return gone


def _move_offsets(connection: Connection, off: list[int], on: list[int], own: int | None) -> None:
    """Have `settled_offset` follow: back to where the first cycle began that does not count any more, on to the end of
    those that count again, and in any case to the end of the champion's own claim."""
    columns = cycles.c.number, cycles.c.state, cycles.c.lineage, cycles.c.claimed_at
    registered = [
        row
        for row in _of(connection, {*off, *on, *([own] if own else [])}, *columns)
        if row.state == Outcome.REGISTERED
    ]
    recreated = {
        (row.topic, row.partition): row.at
        for row in connection.execute(select(gaps).where(gaps.c.to_offset < gaps.c.from_offset).order_by(gaps.c.number))
    }
    back: dict[tuple[str, int], int] = {}
    end: dict[tuple[str, int], int] = {}
    for row in registered:
        for topic, ranges in Lineage.model_validate(row.lineage).offsets.items():
            for partition, (first, last) in ranges.items():
                place = topic, partition
                if recreated.get(place, row.claimed_at - 1) >= row.claimed_at:
                    continue  # the topic has other records at these offsets by now
                if row.number in set(off):
                    back[place] = min(first, back.get(place, first))
                else:
                    end[place] = max(last, end.get(place, last))
    known = connection.execute(select(offsets)).all()
    for row in known:
        place = row.topic, row.partition
        settled = max(min(row.settled_offset, back.get(place, row.settled_offset)), end.get(place, 0))
        of_partition = offsets.c.topic == row.topic, offsets.c.partition == row.partition
        connection.execute(update(offsets).where(*of_partition).values(settled_offset=min(settled, row.next_offset)))


def _move_replays(connection: Connection, version: int) -> None:
    """Replays that the champion has not learned are for the next version; those before its claim are its own."""
    lost = replays.c.cycle_id.in_(select(cycles.c.cycle_id).where(*_UNANSWERED))
    connection.execute(update(replays).where(lost).values(cycle_id=PENDING))
    own = select(cycles.c.cycle_id, cycles.c.claimed_at).join(versions, versions.c.cycle_id == cycles.c.cycle_id)
    if (cycle := connection.execute(own.where(versions.c.version == version)).one_or_none()) is not None:
        before = replays.c.cycle_id == PENDING, replays.c.at <= cycle.claimed_at
        connection.execute(update(replays).where(*before).values(cycle_id=cycle.cycle_id))


def _of(connection: Connection, numbers: Iterable[int], *columns: Any) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for some in _in_portions(numbers):
        found += connection.execute(select(*columns).where(cycles.c.number.in_(some))).all()
    return found


def _in_portions(numbers: Iterable[int]) -> Iterator[list[int]]:
    every = sorted(numbers)  # a statement has room for some thousand values
    return (every[at : at + _AT_ONCE] for at in range(0, len(every), _AT_ONCE))
