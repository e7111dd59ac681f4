"""Replaying dead letters: each is decoded again, and what is understood now becomes pending, once (P1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from consumer.changes.change import KeyChange, LabelChange, add_to
from consumer.changes.kinds import LABELS, USERS
from consumer.changes.pending import store_changes
from consumer.database.engine import reading
from consumer.database.tables import replays
from consumer.dead_letters.letter import WITHOUT_BYTES, DeadLetter, Stored
from consumer.dead_letters.store import Letters, settle, whole_letters
from consumer.positions import Position
from schemas.events import Change, Ignored
from schemas.spans import united

Understood = Change | LabelChange
Judge = Callable[[DeadLetter], Understood | Ignored | str]
"""What a letter says to today's code and settings; a text is the reason why it still says nothing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a letter that was to be replayed; `said` is why."""

    id: int
    outcome: Literal["pending", "ignored", "refused", "no bytes", "not open"]
    said: str


def replay_letters(
    letters: Letters, ids: Sequence[int], judge: Judge, now: float, *, dry_run: bool = False
) -> Iterator[Verdict]:
    """Have letters judged again. What they say now is pending in the transaction that settles them, once.

    Letters that still say nothing stay open. Numbers that name no letter are passed over. A dry run only judges.
    """
    for portion in letters.portions(ids):
        with reading(letters.engine) if dry_run else letters.engine.begin() as connection:
            found = whole_letters(connection, portion, lock=not dry_run)
            verdicts = [_judged(stored, judge) for stored in found]
            if not dry_run:
                _settle_replayed(connection, found, verdicts, now)
        yield from (verdict for verdict, _ in verdicts)


def _judged(stored: Stored, judge: Judge) -> tuple[Verdict, Understood | None]:
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
    connection: Connection, found: Sequence[Stored], verdicts: Sequence[tuple[Verdict, Understood | None]], now: float
) -> None:
    """Settle the letters that are understood, make what they name pending, and record which positions that is from."""
    reasons: dict[str, list[int]] = {}
    users: dict[str, KeyChange] = {}
    labels: dict[str, KeyChange] = {}
    positions: list[Position] = []
    for stored, (verdict, change) in zip(found, verdicts, strict=True):
        if verdict.outcome == "ignored":
            reasons.setdefault(f"ignored: {verdict.said}", []).append(verdict.id)
        elif change is not None:
            reasons.setdefault(f"its {_kind(change)} is pending", []).append(verdict.id)
            letter = stored.letter
            changed = labels if isinstance(change, LabelChange) else users
            add_to(changed, change.key, change.operation, str(letter.position), letter.event_at)
            positions.append(letter.position)
    for reason, ids in reasons.items():
        settle(connection, ids, "replayed", reason, now)
    if positions:
        store_changes(connection, USERS, users, now)
        store_changes(connection, LABELS, labels, now)
        ranges = united(*({topic: {number: ((offset, offset + 1),)}} for topic, number, offset in positions))
        row = {"ranges": ranges, "events": len(positions), "users": len(users), "labels": len(labels), "at": now}
        row["told"] = {"dead_letters": sorted(verdict.id for verdict, change in verdicts if change is not None)}
        connection.execute(replays.insert().values(row))


def _kind(change: Understood) -> str:
    return "label" if isinstance(change, LabelChange) else "user"
