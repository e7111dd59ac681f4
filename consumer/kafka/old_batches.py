"""Messages from before Kafka 0.11 (magic 0 and 1), which a cluster may still hold, read within the same bounds.

A batch is one message; a compressed message has others in its value. They have neither headers nor epochs.
"""

from __future__ import annotations

import binascii
import struct

from consumer.kafka.fields import Damaged
from consumer.kafka.records import Found, Record, Unreadable
from consumer.kafka.unpacking import MOST_UNPACKED, unpacked

_FRAME = struct.Struct(">qi")
_HEAD = struct.Struct(">Ibb")
_CRC_FROM = _FRAME.size + 4
_TIME, _SIZE = struct.Struct(">q"), struct.Struct(">i")
_CODEC, _STAMPED = 0x07, 0x08
_NO_TIME = -1
_NO_EPOCH = -1


class OldBatch:
    """The messages of a batch, and how far they were read; `last_offset` is the batch's.

    Args:
        wire: the batch from its first byte to its last.
        most: bytes that may be in it where it is compressed.

    Raises:
        Damaged: the batch is not what its sender made.
        TooLarge: the batch unpacks to more.
    """

    def __init__(self, wire: memoryview, most: int = MOST_UNPACKED) -> None:
        outer = _Message(wire, 0)
        self.last_offset = outer.offset
        self._before = -1
        self._stamped: int | None = None
        self._data, self._at, self._add = wire, 0, 0
        if outer.codec:
            if outer.value is None:
                raise Damaged("a compressed message holds nothing")
            self._data = memoryview(unpacked(outer.codec, outer.value, most))
            self._stamped = outer.timestamp if outer.attributes & _STAMPED else None
            if outer.magic:  # offsets inside are counted from the first
                self._add = outer.offset - _last_offset(self._data)
        self.left = int(len(self._data) > 0)

    def read(self, most: int, room: int) -> tuple[list[Found], int]:
        """The next messages, at most `most`, fewer where those would take more than `room` bytes; and their bytes."""
        found: list[Found] = []
        start = self._at
        while self.left and len(found) < most and self._at - start < room:
            try:
                message = _Message(self._data, self._at)
                offset = message.offset + self._add
                if message.codec:
                    raise Damaged("a compressed message is in another")
                if not self._before < offset <= self.last_offset:
                    raise Damaged(f"a message is said to be at offset {offset}")
            except Damaged as error:
                place = min(max(self._before + 1, self._add), self.last_offset)
                found.append(Unreadable(place, self.last_offset + 1, _NO_TIME, _NO_EPOCH, "fetch", str(error)))
                self._at, self.left = len(self._data), 0
                break
            timestamp = message.timestamp if self._stamped is None else self._stamped
            value = None if message.value is None else bytes(message.value)
            found.append(Record(offset, timestamp, _NO_EPOCH, message.key, value, []))
            self._at, self._before = message.end, offset
            self.left = int(self._at < len(self._data))
        return found, self._at - start


class _Message:
    """One message and its fields.

    Raises:
        Damaged: the message is not whole, or not what its sender made.
    """

    def __init__(self, data: memoryview, at: int) -> None:
        try:
            self.offset, size = _FRAME.unpack_from(data, at)
            self.end: int = at + _FRAME.size + size
            crc, self.magic, self.attributes = _HEAD.unpack_from(data, at + _FRAME.size)
            place = at + _FRAME.size + _HEAD.size
            if size < _HEAD.size or self.end > len(data):
                raise Damaged(f"a message of {size} bytes is said to be there")
            if binascii.crc32(data[at + _CRC_FROM : self.end]) != crc:
                raise Damaged("the checksum of a message is wrong")
            self.timestamp = _NO_TIME
            if self.magic:
                (self.timestamp,) = _TIME.unpack_from(data, place)
                place += _TIME.size
            key, place = _held(data, place, self.end)
            self.value, place = _held(data, place, self.end)
        except struct.error:
            raise Damaged("a message ends too early") from None
        self.key = None if key is None else bytes(key)
        self.codec = self.attributes & _CODEC


def _held(data: memoryview, at: int, end: int) -> tuple[memoryview | None, int]:
    (size,) = _SIZE.unpack_from(data, at)
    at += _SIZE.size
    if size < 0:
        return None, at
    if size > end - at:
        raise Damaged(f"{size} bytes are said to be in a message, where {end - at} are left")
    return data[at : at + size], at + size


def _last_offset(data: memoryview) -> int:
    """The offset of the last message, as it is written inside.

    Raises:
        Damaged: the messages do not follow each other.
    """
    at, offset = 0, 0
    while at < len(data):
        try:
            offset, size = _FRAME.unpack_from(data, at)
        except struct.error:
            raise Damaged("a message ends too early") from None
        if size < 0:
            raise Damaged(f"a message of {size} bytes is said to be there")
        at += _FRAME.size + size
    return int(offset)
