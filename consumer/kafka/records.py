"""The records inside a batch, once it is unpacked: a tight loop for sound ones, a careful look at any other.

A size counts only once it is known to fit. Where a record cannot be read and its length is sound, an `Unreadable`
stands in its place; where the length is not sound either, one `Unreadable` stands for all that is left of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from consumer.kafka.fields import Damaged, Headers, TooLarge, headers_at, held, signed, unsigned, wrapped

_HEADER_WEIGHT = 128
"""Bytes that a header counts for where a portion is bounded: an empty header has two, and takes a hundred in memory."""

_FAR = 2**62
"""A time below, and a distance below from it, are together a number of 64 bits."""

_TO_DO = "have it sent again, or retrain in full: retrainer train --full"

Stage = Literal["fetch", "size"]
_FETCH: Stage = "fetch"
_SIZE: Stage = "size"


class Record(NamedTuple):
    """A record as it was sent. Bytes of a header's name that are no UTF-8 are kept as `surrogateescape` does it."""

    offset: int
    timestamp: int
    leader_epoch: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Unreadable(NamedTuple):
    """A place where no record can be had; the next record is at `following` or later.

    `stage` is that of its dead letter: `size` where the record is too large to be read, `fetch` where it is damaged.
    """

    offset: int
    following: int
    timestamp: int
    leader_epoch: int
    stage: Stage
    why: str

    @property
    def reason(self) -> str:
        """The reason that its dead letter gives."""
        last = self.following - 1
        offsets = f"offset {self.offset}" if last <= self.offset else f"offsets {self.offset} to {last}"
        return f"{offsets} cannot be read: {self.why}; what was sent there is lost: {_TO_DO}"


Found = Record | Unreadable


@dataclass(slots=True)
class Unpacked:
    """The records of a batch, and how far they were read.

    `timestamp` is the time of every record where the broker stamped them; else None, and each record has its own,
    counted from `first_timestamp`. `before` is the offset of the record that was read last.
    """

    data: bytes
    base_offset: int
    last_offset: int
    first_timestamp: int
    max_timestamp: int
    timestamp: int | None
    leader_epoch: int
    left: int
    before: int
    at: int = 0

    def read(self, most: int, room: int) -> tuple[list[Found], int]:
        """The next records: at most `most`, fewer where those would take more than `room` bytes, at least one.

        Returns:
            The records, and the bytes that they take.
        """
        found: list[Found] = []
        start, held = self.at, 0
        while self.left > 0 and len(found) < most and self.at - start + held < room:
            held += self._read_sound(found, most, start + room - held)
            if self.left > 0 and len(found) < most and self.at - start + held < room:
                found.append(self._read_carefully())
        if self.left == 0 and self.at != len(self.data):
            found.append(self._rest(f"{len(self.data) - self.at} bytes are left after its last record"))
        return found, self.at - start + held

    def _read_sound(self, found: list[Found], most: int, until: int) -> int:
        """Add records as long as they are sound, and return the bytes that their headers count for.

        Numbers of one and two bytes are read in place: that takes half the time of a call for each.
        """
        data, at, left = self.data, self.at, self.left
        base, last, before, epoch = self.base_offset, self.last_offset, self.before, self.leader_epoch
        first, same = self.first_timestamp, self.timestamp
        add, make, start_until = found.append, tuple.__new__, until
        count = min(left, most - len(found)) if same is not None or -_FAR <= first < _FAR else 0
        try:
            while count and at < until:
                pos = at + 1
                number = data[at]
                if number > 0x7F:
                    byte = data[pos]
                    pos += 1
                    if byte < 0x80:
                        number = number & 0x7F | byte << 7
                    else:
                        number, pos = unsigned(data, at)
                end = pos + (number >> 1)
                mark = pos + 1  # after the attributes, which say nothing
                pos = mark + 1
                number = data[mark]
                if number > 0x7F:
                    byte = data[pos]
                    pos += 1
                    if byte < 0x80:
                        number = number & 0x7F | byte << 7
                    else:
                        number, pos = unsigned(data, mark)
                        if number >= _FAR:
                            break
                timestamp = first + ((number >> 1) ^ -(number & 1)) if same is None else same
                mark = pos
                pos += 1
                number = data[mark]
                if number > 0x7F:
                    byte = data[pos]
                    pos += 1
                    if byte < 0x80:
                        number = number & 0x7F | byte << 7
                    else:
                        number, pos = unsigned(data, mark)
                offset = base + ((number >> 1) ^ -(number & 1))
                mark = pos
                pos += 1
                number = data[mark]
                if number > 0x7F:
                    number, pos = unsigned(data, mark)
                if number & 1:
                    key = None
                else:
                    mark = pos
                    pos += number >> 1
                    key = data[mark:pos]
                mark = pos
                pos += 1
                number = data[mark]
                if number > 0x7F:
                    byte = data[pos]
                    pos += 1
                    if byte < 0x80:
                        number = number & 0x7F | byte << 7
                    else:
                        number, pos = unsigned(data, mark)
                if number & 1:
                    value = None
                else:
                    mark = pos
                    pos += number >> 1
                    value = data[mark:pos]
                headers: Headers = []
                if data[pos]:
                    headers, pos = headers_at(data, pos, end)
                    until -= _HEADER_WEIGHT * len(headers)
                else:
                    pos += 1
                if pos != end or not before < offset <= last:
                    break
                add(make(Record, (offset, timestamp, epoch, key, value, headers)))
                at, before = pos, offset
                count -= 1
                left -= 1
        except (IndexError, Damaged, TooLarge):
            pass
        self.at, self.left, self.before = at, left, before
        return start_until - until

    def _read_carefully(self) -> Found:
        """The next record, or why there is none."""
        data = self.data
        try:
            size, begin = signed(data, self.at)
            if not 0 <= size <= len(data) - begin:
                raise Damaged(f"a record of {size} bytes is said to be there, where {len(data) - begin} are left")
        except (IndexError, Damaged) as error:
            return self._rest(_said(error))
        self.at, self.left = begin + size, self.left - 1
        offset, timestamp, stage = min(self.before + 1, self.last_offset), self.max_timestamp, _FETCH
        try:
            delta, at = signed(data, begin + 1)
            timestamp = wrapped(self.first_timestamp + delta) if self.timestamp is None else self.timestamp
            delta, at = signed(data, at)
            if not self.before < self.base_offset + delta <= self.last_offset:
                return self._rest(f"a record is said to be at offset {self.base_offset + delta}")
            offset = self.base_offset + delta
            key, at = held(data, at, self.at)
            value, at = held(data, at, self.at)
            headers, at = headers_at(data, at, self.at)
            if at != self.at:
                raise Damaged(f"it has {size} bytes, and what is in it {at - begin}")
            return Record(offset, timestamp, self.leader_epoch, key, value, headers)
        except (IndexError, Damaged) as error:
            reason = _said(error)
        except TooLarge as error:
            reason, stage = str(error), _SIZE
        finally:
            self.before = max(offset, self.before)
        return Unreadable(offset, offset + 1, timestamp, self.leader_epoch, stage, reason)

    def _rest(self, why: str) -> Unreadable:
        """One `Unreadable` for all that is left; it stands at the last offset where no other is free."""
        offset = min(self.before + 1, self.last_offset)
        self.at, self.left, self.before = len(self.data), 0, self.last_offset
        return Unreadable(offset, self.last_offset + 1, self.max_timestamp, self.leader_epoch, "fetch", why)


def _said(error: Exception) -> str:
    return "it ends too early" if isinstance(error, IndexError) else str(error)
