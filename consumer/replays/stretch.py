"""How far a replay has read a partition, and which offsets were in the window. The spool keeps both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from msgspec import Struct

from consumer.kafka.records import Found, Unreadable
from consumer.positions import Partition
from consumer.replays.window import is_sensible
from schemas.spans import Span

MOST_SPANS = 1000
"""Ranges of a partition that are kept; where there are more, the smallest holes between them are closed."""


class Stretch(Struct):
    """The offsets of a partition that are read, from `start` to `end`, which was taken when the replay began."""

    topic: str
    number: int
    begins: int
    """Where the partition begins."""
    start: int
    end: int
    next: int
    """The next offset to read."""
    most: int
    """Where the order ends; `end` may be too early, as some brokers tell it."""
    spans: list[Span] = []
    """The offsets that were replayed: runs of records in the window, each with the offset after its last record."""
    read: int = 0
    held: int = 0
    """How many records were read, and how many of them lay in the window."""
    odd: int = 0
    """How many have a time that cannot be meant; `odd_at` and `odd_time` are those of the first."""
    odd_at: int = -1
    odd_time: int = 0
    withheld: int = 0
    """Offsets from an open transaction on: the broker does not give them yet."""
    high: int | None = None
    """Where the log ended when it was first read from."""
    apart: bool = True
    """Whether a record that was not replayed comes after the last span."""
    done: bool = False

    @property
    def partition(self) -> Partition:
        """Which partition."""
        return Partition(self.topic, self.number)

    @property
    def limit(self) -> int:
        """Where reading ends: at the end of the log when reading began, or of the order."""
        return min(self.most, max(self.end, self.high or 0))

    def leave_out(self, to: int) -> None:
        """Go on at an offset, and leave the offsets before it unread."""
        self.next, self.apart = to, True

    def sift(self, records: Sequence[Found], holds: Callable[[Found], bool], now: float) -> list[Found]:
        """Take in the next records, and return those that are replayed."""
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
    """At most `most` ranges, which hold the same offsets and as few others as possible."""
    holes = [(after[0] - before[1], at) for at, (before, after) in enumerate(pairwise(spans))]
    closed = {at for _, at in sorted(holes)[: max(0, len(spans) - most)]}
    found: list[Span] = []
    for at, span in enumerate(spans):
        if at - 1 in closed:
            found[-1] = found[-1][0], span[1]
        else:
            found.append(span)
    return found
