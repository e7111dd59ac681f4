"""Which records are replayed. Pure: by a record's own time, its offset, and the users that it names."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from consumer.changes.change import LabelChange
from consumer.errors import ConsumerError
from consumer.positions import Partition
from schemas.events import Change
from schemas.labels import pair_of
from schemas.spans import Span, joined

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SENSIBLE = 10**12  # September 2001, in milliseconds; seconds look older, microseconds far newer
_AHEAD = timedelta(days=1)  # as far as a clock may be ahead
_SPANS = re.compile(r"(?:(?P<topic>[\w.\-]+):)?(?P<partition>\d+)(?::(?P<first>\d+)-(?P<end>\d*))?", re.ASCII)
FOR_EVER = 2**63 - 1
"""The end of a range of offsets that has no end of its own."""


class WrongOffsets(ConsumerError):  # noqa: N818  (the command's usage, not a fault)
    """The offsets in the order mean nothing."""


@dataclass(frozen=True, slots=True)
class Window:
    """Records from `start` to before `end` (milliseconds since the epoch), and at `offsets`; None for no limit.

    A record counts by its own time: that of its producer, or that of its arrival where the topic is configured so.
    """

    start: int | None = None
    end: int | None = None
    offsets: Mapping[Partition, tuple[Span, ...]] | None = None
    users: frozenset[str] | None = None
    """Only events of these users, and labels that name one of them; None for all."""

    @property
    def timed(self) -> bool:
        """Whether times decide."""
        return self.start is not None or self.end is not None

    def holds(self, partition: Partition, offset: int, timestamp: int) -> bool:
        """Whether a record is in the window. A record without a time is in no window of time."""
        if self.timed and (
            timestamp < 0
            or (self.start is not None and timestamp < self.start)
            or (self.end is not None and timestamp >= self.end)
        ):
            return False
        return self.offsets is None or any(first <= offset < end for first, end in self.offsets.get(partition, ()))

    def may_hold(self, partition: Partition, first: int, end: int, latest: int) -> bool:
        """Whether the window may hold a record of these offsets, none of which can be read.

        `latest` is the latest time of such a record; negative where nobody knows.
        """
        if self.start is not None and 0 <= latest < self.start:
            return False
        if self.end is not None and latest >= self.end and end - first == 1:
            return False
        return self.offsets is None or any(start < end and first < to for start, to in self.offsets.get(partition, ()))

    def concerns(self, event: object) -> bool:
        """Whether an event names one of the users."""
        if self.users is None:
            return True
        if isinstance(event, LabelChange):
            return not self.users.isdisjoint(pair_of(event.key))
        return isinstance(event, Change) and event.key in self.users


def milliseconds(when: datetime) -> int:
    """The first whole millisecond at or after a time: records have whole ones."""
    return -((_EPOCH - when) // timedelta(milliseconds=1))


def moment_of(timestamp: int) -> str:
    """A record's time, for people; a time that calendars do not know is shown as its number."""
    try:
        return (_EPOCH + timedelta(milliseconds=timestamp)).isoformat(timespec="seconds")
    except OverflowError:
        return f"{timestamp} ms"


def is_sensible(timestamp: int, now: float) -> bool:
    """Whether a record's time can be meant: it is in this century, and no more than a day ahead of `now` (seconds)."""
    return _FIRST_SENSIBLE <= timestamp <= 1000 * (now + _AHEAD.total_seconds())


def guessed(timestamp: int) -> str:
    """What a time that cannot be meant looks like, by its size."""
    if timestamp <= 0:
        return "no time"
    for name, factor in (("seconds", 1000), ("microseconds", 1 / 1000), ("nanoseconds", 1 / 1_000_000)):
        if _FIRST_SENSIBLE <= timestamp * factor < 5 * _FIRST_SENSIBLE:
            return f"{name} instead of milliseconds"
    return "a wrong clock"


def offsets_of(texts: Collection[str], topics: Collection[str]) -> dict[Partition, tuple[Span, ...]] | None:
    """The meaning of `TOPIC:0:100-200`, `0:100-200`, `0:100-` or `0`: offsets from the first to before the second.

    Raises:
        WrongOffsets: the text means nothing, or the topic is not known.
    """
    if not texts:
        return None
    found: dict[Partition, list[Span]] = {}
    for text in texts:
        match = _SPANS.fullmatch(text)
        if match is None:
            raise WrongOffsets(f"--offsets {text!r} is not of the form PARTITION:FROM-TO, such as 0:100-200")
        topic = match["topic"] or next(iter(topics))
        if topic not in topics:
            raise WrongOffsets(f"--offsets {text!r}: topic {topic} is not listened to; {' or '.join(topics)} is")
        if match["topic"] is None and len(topics) > 1:
            raise WrongOffsets(f"--offsets {text!r}: say of which topic: {next(iter(topics))}:{text}")
        first, end = int(match["first"] or 0), int(match["end"] or FOR_EVER)
        if first >= end:
            raise WrongOffsets(f"--offsets {text!r} holds nothing: {first} is not before {end}, which is not included")
        if end > FOR_EVER:
            raise WrongOffsets(f"--offsets {text!r}: no offset is as large as {end}")
        found.setdefault(Partition(topic, int(match["partition"])), []).append((first, end))
    return {partition: joined(spans) for partition, spans in found.items()}
