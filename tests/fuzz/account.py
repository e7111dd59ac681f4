"""What became of every message of a flood, against what had to become of it."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, Table, select

from consumer.database.engine import reading
from consumer.database.tables import changes, dead_letters, offsets
from consumer.ledger.ledger import Ledger
from schemas.events import Operation
from tests.fuzz.messages import PARTITIONS, Message
from tests.fuzz.model import Verdict

LAST_WORD = "after-the-flood"
"""The user of one more event, which comes last, to partition 0."""


@dataclass
class Due:
    """What must be pending of one user: so many events, and in each partition the first and last and what that says."""

    events: int = 0
    ends: dict[int, tuple[int, int, bool]] = field(default_factory=dict)

    def add(self, partition: int, offset: int, *, deleted: bool) -> None:
        """One more event, in the order of offsets."""
        first, _, _ = self.ends.get(partition, (offset, offset, deleted))
        self.ends[partition] = first, offset, deleted
        self.events += 1


class Sent:
    """What was sent, by what must become of it."""

    def __init__(self) -> None:
        self.count = 0
        self.dead: set[int] = set()
        self.ignored = Counter[int]()  # by partition
        self.users: dict[str, Due] = {}

    def note(self, made: Message, verdict: Verdict) -> None:
        """The next message, and what must become of it.

        Raises:
            AssertionError: the message was made for something else.
        """
        assert made.expected in {"any", verdict.kind}, f"{verdict} of {made}"
        if made.user is not None:
            assert verdict == ("stored", made.user, made.operation is Operation.DELETE), f"{verdict} of {made}"
        offset, partition = divmod(self.count, PARTITIONS)
        match verdict.kind:
            case "dead":
                self.dead.add(self.count)
            case "ignored":
                self.ignored[partition] += 1
            case "stored":
                self.users.setdefault(verdict.user, Due()).add(partition, offset, deleted=verdict.deleted)
        self.count += 1


@dataclass(frozen=True)
class Account:
    """How many became what, and of what the dead letters died, numbers left out."""

    stored: int
    ignored: int
    dead: int
    reasons: Counter[str]


def account(ledger: Ledger, topic: str, sent: Sent, message: Callable[[int], Message]) -> Account:
    """Account for every message: message n is record n // PARTITIONS of partition n % PARTITIONS.

    Raises:
        AssertionError: one became something else than it had to.
    """
    ignored = _offsets(ledger, sent)
    dead, reasons = _dead_letters(ledger, message)
    wrong = sorted(dead ^ sent.dead)[:3]
    assert not wrong, f"dead, or not, against the rules: {[(number, message(number)) for number in wrong]}"
    stored = _users(ledger, topic, sent)
    assert stored + ignored + len(dead) == sent.count
    return Account(stored, ignored, len(dead), reasons)


def _offsets(ledger: Ledger, sent: Sent) -> int:
    """Every partition is read to its end, no record twice, and as many ignored as had to be. How many that is."""
    rows = {row.partition: row for row in _rows(ledger, offsets)}
    ends = {number: len(range(number, sent.count, PARTITIONS)) + (number == 0) for number in range(PARTITIONS)}
    assert {number: row.next_offset for number, row in rows.items()} == ends
    assert {number: row.events for number, row in rows.items()} == ends
    ignored, due = (
        {number: row.ignored for number, row in rows.items()},
        {number: sent.ignored[number] for number in ends},
    )
    assert ignored == due, f"ignored by partition {ignored}, not {due}"
    return sent.ignored.total()


def _dead_letters(ledger: Ledger, message: Callable[[int], Message]) -> tuple[set[int], Counter[str]]:
    """Which messages died, each once, as it was sent; and of what."""
    dead, reasons = set[int](), Counter[str]()
    for row in _rows(ledger, dead_letters):
        number = row.offset * PARTITIONS + row.partition
        assert number not in dead
        dead.add(number)
        _is_as_sent(row, message(number))
        reasons[re.sub(r"\d+", "N", row.reason)] += 1
    return dead, reasons


def _is_as_sent(letter: Row[Any], sent: Message) -> None:
    headers = [[name, None if value is None else base64.b64encode(value).decode()] for name, value in sent.headers]
    kept = letter.key, letter.value, letter.headers
    assert kept == (sent.key, sent.value, headers), f"{kept} of {sent}"
    assert letter.event_at == sent.timestamp / 1000
    assert letter.stage == "decode"
    assert letter.reason


def _users(ledger: Ledger, topic: str, sent: Sent) -> int:
    """Those are pending who must be, with all their events and nothing else. How many events."""
    due = dict(sent.users)
    for row in _rows(ledger, changes):
        if row.user_id == LAST_WORD:
            continue
        one = due.pop(row.user_id, None)
        assert one is not None, f"nobody has sent a change of {row.user_id!r}"
        assert row.events == one.events, row.user_id
        firsts = {f"{topic}[{partition}]@{first}" for partition, (first, _, _) in one.ends.items()}
        lasts = {f"{topic}[{partition}]@{last}": deleted for partition, (_, last, deleted) in one.ends.items()}
        assert row.first_position in firsts, row.user_id
        deleted = lasts[row.last_position]
        assert row.operation == (Operation.DELETE if deleted else Operation.UPSERT), row.user_id
    assert not due, f"lost: {list(due)[:5]}"
    return sum(one.events for one in sent.users.values())


def _rows(ledger: Ledger, table: Table) -> Iterator[Row[Any]]:
    with reading(ledger.engine) as connection:
        yield from connection.execution_options(yield_per=1000).execute(select(table))
