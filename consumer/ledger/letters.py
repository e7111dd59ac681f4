"""Dead letters, for operators who look at them, replay and discard them, and for the dead-letter topic.

A letter is open until an operator settles it: replayed, what it says is pending; discarded, the operator's reason is on
record and the bytes are gone. Either happens once, whoever tries it again (P1).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, func, literal, select, update

from consumer.ledger.batch import Batch, DeadLetter, Headers, LabelChange, Position
from consumer.ledger.engine import reading
from consumer.ledger.intake import store_batch
from consumer.ledger.letter_rows import kept_bytes
from consumer.ledger.tables import dead_letters, replays
from schemas.events import Change, Ignored
from schemas.spans import united

Status = Literal["open", "replayed", "discarded"]
Told = Change | LabelChange
Judge = Callable[[DeadLetter], Told | Ignored | str]
"""What a letter says to today's code and settings; a text is the reason why it still says nothing."""

WITHOUT_BYTES = frozenset({"gap", "fetch", "size"})
"""Stages whose letters hold no record: it was lost, could not be parsed, or is too big for a ledger."""

_AT_ONCE, _BYTES_AT_ONCE = 200, 16 * 2**20  # in one transaction: others want to write, too

_SIZE = kept_bytes().label("size")
_WITHOUT_ITS_BYTES = [column for column in dead_letters.c if column.name not in {"key", "value", "headers"}]


@dataclass(frozen=True, slots=True)
class Which:
    """Which letters; None does not matter. `reason` is a part of it in any case, `since` a time of storing."""

    status: Status | None = "open"
    stage: str | None = None
    reason: str | None = None
    topic: str | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What is on record about a letter, without its bytes, of which there are `size`."""

    id: int
    position: Position
    event_at: float
    stored_at: float
    stage: str
    reason: str
    status: Status
    settled_at: float | None
    settled_reason: str | None
    published: bool
    size: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A letter with all that is on record about it."""

    entry: Entry
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a letter that was to be replayed; `said` is why."""

    id: int
    outcome: Literal["pending", "ignored", "refused", "no bytes", "not open"]
    said: str


class Letters:
    """The operators' side of the dead letters."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def counts(self, which: Which) -> dict[tuple[str, str], int]:
        """How many there are by status and stage."""
        by = dead_letters.c.status, dead_letters.c.stage
        counted = select(*by, func.count()).where(*_conditions(which)).group_by(*by).order_by(*by)
        with reading(self._engine) as connection:
            return {(status, stage): count for status, stage, count in connection.execute(counted)}

    def find(self, which: Which, limit: int) -> list[Entry]:
        """The newest of them, newest first."""
        newest = (
            select(*_WITHOUT_ITS_BYTES, _SIZE)
            .where(*_conditions(which))
            .order_by(dead_letters.c.id.desc())
            .limit(limit)
        )
        with reading(self._engine) as connection:
            return [_entry(row) for row in connection.execute(newest)]

    def ids(self, which: Which) -> list[int]:
        """All of them, oldest first."""
        with reading(self._engine) as connection:
            oldest = select(dead_letters.c.id).where(*_conditions(which)).order_by(dead_letters.c.id)
            return list(connection.scalars(oldest))

    def get(self, number: int) -> Stored | None:
        """One letter, whole; None where there is none of this number."""
        with reading(self._engine) as connection:
            return next(iter(_whole(connection, [number])), None)

    def replay(self, ids: Sequence[int], judge: Judge, now: float, *, dry_run: bool = False) -> Iterator[Verdict]:
        """Have letters judged again. What they say now is pending in the transaction that settles them, once.

        Those that still say nothing stay open. Numbers that name no letter are passed over. A dry run only judges.
        """
        for portion in self._portions(ids):
            with reading(self._engine) if dry_run else self._engine.begin() as connection:
                found = _whole(connection, portion, lock=not dry_run)
                verdicts = [_judged(stored, judge) for stored in found]
                if not dry_run:
                    _settle_replayed(connection, found, verdicts, now)
            yield from (verdict for verdict, _ in verdicts)

    def discard(self, ids: Sequence[int], reason: str, now: float, *, replayed: bool = False) -> int:
        """Settle open letters for good: the reason is on record, their bytes are gone. Says how many were open.

        Or, of letters that were `replayed`, those: that they were stays on record, too.
        """
        discarded = 0
        for start in range(0, len(ids), _AT_ONCE):
            with self._engine.begin() as connection:
                settled = _settled(ids[start : start + _AT_ONCE], "discarded", reason, now, replayed=replayed)
                discarded += connection.execute(settled.values(key=None, value=None, headers=[])).rowcount
        return discarded

    def unpublished(self) -> list[Stored]:
        """The oldest letters that the dead-letter topic does not have yet, a portion of them; not the discarded."""
        waiting = dead_letters.c.published.is_(False), dead_letters.c.status != "discarded"
        with reading(self._engine) as connection:
            oldest = select(dead_letters.c.id).where(*waiting).order_by(dead_letters.c.id).limit(_AT_ONCE)
            ids = list(connection.scalars(oldest))
        for portion in self._portions(ids):
            with reading(self._engine) as connection:
                return _whole(connection, portion)
        return []

    def published(self, ids: Sequence[int]) -> None:
        """The dead-letter topic has these, acknowledged."""
        with self._engine.begin() as connection:
            connection.execute(update(dead_letters).where(dead_letters.c.id.in_(ids)).values(published=True))

    def _portions(self, ids: Sequence[int]) -> Iterator[list[int]]:
        """The letters of these numbers that there are, in their order, in portions that are held in memory at once."""
        for start in range(0, len(ids), _AT_ONCE):
            sized = select(dead_letters.c.id, kept_bytes()).where(dead_letters.c.id.in_(ids[start : start + _AT_ONCE]))
            with reading(self._engine) as connection:
                rows = connection.execute(sized.order_by(dead_letters.c.id)).all()
            portion: list[int] = []
            held = 0
            for number, size in rows:
                if portion and held + size > _BYTES_AT_ONCE:
                    yield portion
                    portion, held = [], 0
                portion.append(number)
                held += size
            if portion:
                yield portion


def _conditions(which: Which) -> Iterator[ColumnElement[bool]]:
    letter = dead_letters.c
    for column, wanted in ((letter.status, which.status), (letter.stage, which.stage), (letter.topic, which.topic)):
        if wanted is not None:
            yield column == wanted
    if which.reason is not None:
        yield func.lower(letter.reason).contains(which.reason.lower(), autoescape=True)
    if which.since is not None:
        yield letter.at >= which.since


def _whole(connection: Connection, ids: Sequence[int], *, lock: bool = False) -> list[Stored]:
    letters = select(dead_letters, _SIZE).where(dead_letters.c.id.in_(ids)).order_by(dead_letters.c.id)
    rows = connection.execute(letters.with_for_update() if lock else letters)
    return [Stored(_entry(row), _letter(row)) for row in rows]


def _entry(row: Any) -> Entry:
    return Entry(
        id=row.id,
        position=Position(row.topic, row.partition, row.offset),
        event_at=row.event_at,
        stored_at=row.at,
        stage=row.stage,
        reason=row.reason,
        status=row.status,
        settled_at=row.settled_at,
        settled_reason=row.settled_reason,
        published=row.published,
        size=row.size,
    )


def _letter(row: Any) -> DeadLetter:
    position = Position(row.topic, row.partition, row.offset)
    return DeadLetter(position, row.event_at, row.key, row.value, _headers(row.headers), row.stage, row.reason)


def _headers(stored: Mapping[str, str] | Sequence[tuple[str, str | None]]) -> Headers:
    """Up to schema 2 they were stored by name."""
    pairs = stored.items() if isinstance(stored, Mapping) else stored
    return tuple((name, None if value is None else base64.b64decode(value)) for name, value in pairs)


def _judged(stored: Stored, judge: Judge) -> tuple[Verdict, Told | None]:
    entry = stored.entry
    if entry.status != "open":
        return Verdict(entry.id, "not open", f"{entry.status} already: {entry.settled_reason}"), None
    if entry.stage in WITHOUT_BYTES:
        return Verdict(entry.id, "no bytes", entry.reason), None
    match judge(stored.letter):
        case Change() | LabelChange() as change:
            what = f"{change.operation.value} of {_kind(change)} {change.key}"
            return Verdict(entry.id, "pending", what), change
        case Ignored(reason):
            return Verdict(entry.id, "ignored", reason), None
        case str() as reason:
            return Verdict(entry.id, "refused", reason), None


def _settle_replayed(
    connection: Connection, found: Sequence[Stored], verdicts: Sequence[tuple[Verdict, Told | None]], now: float
) -> None:
    """What is understood is settled, and who it names is pending; which positions that comes from is on record."""
    reasons: dict[str, list[int]] = {}
    batch, events = Batch(received_at=now), 0
    positions: list[Position] = []
    for stored, (verdict, change) in zip(found, verdicts, strict=True):
        if verdict.outcome == "ignored":
            reasons.setdefault(f"ignored: {verdict.said}", []).append(verdict.id)
        elif change is not None:
            reasons.setdefault(f"its {_kind(change)} is pending", []).append(verdict.id)
            position = stored.letter.position
            add = batch.add_label if isinstance(change, LabelChange) else batch.add
            add(change.key, change.operation, str(position), stored.letter.event_at)
            positions.append(position)
            events += 1
    for reason, ids in reasons.items():
        connection.execute(_settled(ids, "replayed", reason, now))
    if events:
        store_batch(connection, batch)
        ranges = united(*({topic: {number: ((offset, offset + 1),)}} for topic, number, offset in positions))
        row = {"ranges": ranges, "events": events, "users": len(batch.users), "labels": len(batch.labels), "at": now}
        row["told"] = {"dead_letters": sorted(verdict.id for verdict, change in verdicts if change is not None)}
        connection.execute(replays.insert().values(row))


def _kind(change: Told) -> str:
    return "label" if isinstance(change, LabelChange) else "user"


def _settled(ids: Sequence[int], status: Status, reason: str, now: float, *, replayed: bool = False) -> Any:
    those = dead_letters.c.id.in_(ids), dead_letters.c.status == ("replayed" if replayed else "open")
    told = literal(f"{reason}; was replayed: ") + dead_letters.c.settled_reason if replayed else reason
    return update(dead_letters).where(*those).values(status=status, settled_at=now, settled_reason=told)
