"""How far the reading of a partition is, and what of it was in the window. Kept beside what was read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from msgspec import Struct

from consumer.kafka.records import Found, Unreadable
from consumer.ledger.batch import Partition
from consumer.replays.window import is_sensible
from schemas.spans import Span

MOST_SPANS = 1000
"""Ranges of a partition that are kept; where windows by time scatter more widely, the smallest holes are closed."""


class Stretch(Struct):
    """The offsets of a partition that are read, from `start` to `end`, which was taken when the replay began."""

    topic: str
    number: int
    begins: int
    """Where the partition begins."""
    start: int
    end: int
    next: int
    """The next to read."""
    most: int
    """Where the offsets that were asked for end; a broker may tell an end that is too early."""
    spans: list[Span] = []
    """What was replayed: from the first record to behind the last one before a record that was not."""
    read: int = 0
    held: int = 0
    """How many records were read, and how many of them lay in the window."""
    odd: int = 0
    """How many have a time that cannot be meant; `odd_at` and `odd_time` are those of the first."""
    odd_at: int = -1
    odd_time: int = 0
    behind: int = 0
    """Offsets behind a transaction that is still open: nobody can tell yet what they hold."""
    high: int | None = None
    """Where the log ended when it was first read from."""
    apart: bool = True
    """Whether a record that was not replayed lies behind the last span."""
    done: bool = False

    @property
    def partition(self) -> Partition:
        """Which partition."""
        return Partition(self.topic, self.number)

    @property
    def limit(self) -> int:
        """Where reading ends: what was there when it began, as far as it was asked for."""
        return min(self.most, max(self.end, self.high or 0))

    def leave_out(self, to: int) -> None:
        """Go on at an offset, with what lies before it unread."""
        self.next, self.apart = to, True

    def sift(self, records: Sequence[Found], holds: Callable[[Found], bool], now: float) -> list[Found]:
        """Take in the next records; gives those that are replayed."""
        taken: list[Found] = []
        last = self.limit
        for record in records:
            offset, timestamp = record.offset, record.timestamp
            if offset < self.next or offset >= last:
                continue
            self.read += 1
            if not is_sensible(timestamp, now) and not isinstance(record, Unreadable):
                if self.odd == 0:
                    self.odd_at, self.odd_time = offset, timestamp
                self.odd += 1
            if not holds(record):
                self.apart = True
                continue
            taken.append(record)
            self.held += 1
            if self.apart:
                self.spans.append((offset, offset + 1))
                self.apart = False
                if len(self.spans) > 2 * MOST_SPANS:
                    self.spans = coarser(self.spans, MOST_SPANS)
            else:
                self.spans[-1] = self.spans[-1][0], offset + 1
        return taken


def coarser(spans: Sequence[Span], most: int) -> list[Span]:
    """At most so many ranges, which hold the same offsets and as few others as can be."""
    holes = [(after[0] - before[1], at) for at, (before, after) in enumerate(pairwise(spans))]
    closed = {at for _, at in sorted(holes)[: max(0, len(spans) - most)]}
    found: list[Span] = []
    for at, span in enumerate(spans):
        if at - 1 in closed:
            found[-1] = found[-1][0], span[1]
        else:
            found.append(span)
    return found
