"""The fields of a Kafka record: numbers of variable length, bytes, headers. No size is believed before it fits."""

from __future__ import annotations

MOST_HEADERS = 10_000
"""The most headers of a record. A header may have two bytes, and takes a hundred in memory."""
_LONGEST = 63
"""Bits of a number before its last byte."""

Headers = list[tuple[str, bytes | None]]


class Damaged(ValueError):  # noqa: N818  (it names the state of the bytes)
    """The bytes are not what they say they are; the message says in what."""


class TooLarge(ValueError):  # noqa: N818  (the same)
    """There is more in the bytes than is read; the message says of what."""


def unsigned(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, before its sign is put back, and the place after the number.

    Raises:
        IndexError: the bytes end before the number does.
        Damaged: the number is longer than one can be.
    """
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > _LONGEST:
            raise Damaged("a number in it has more than ten bytes")


def signed(data: bytes, at: int) -> tuple[int, int]:
    """The number at a place, and the place after the number; raises as `unsigned` does."""
    number, at = unsigned(data, at)
    return (number >> 1) ^ -(number & 1), at


def wrapped(number: int) -> int:
    """A number cut to 64 bits, as brokers and ledgers count: a sum of two numbers from a producer may be larger."""
    return (number + 2**63) % 2**64 - 2**63


def held(data: bytes, at: int, end: int) -> tuple[bytes | None, int]:
    """Bytes with their size before them, or None, and the place after them.

    Raises:
        IndexError, Damaged: the bytes are not whole before `end`.
    """
    size, at = signed(data, at)
    if size < 0:
        return None, at
    if size > end - at:
        raise Damaged(f"{size} bytes are said to be in it, where {end - at} are left")
    return data[at : at + size], at + size


def headers_at(data: bytes, at: int, end: int) -> tuple[Headers, int]:
    """The headers of a record, and the place after them. Of a name that is not UTF-8 the bytes are kept, as surrogates.

    Raises:
        IndexError, Damaged: the headers are not whole before `end`.
        TooLarge: there are too many.
    """
    count, at = signed(data, at)
    if not 0 <= 2 * count <= end - at:
        raise Damaged(f"{count} headers are said to be in it, where {end - at} bytes are left")
    if count > MOST_HEADERS:
        raise TooLarge(f"it has {count:,} headers, more than {MOST_HEADERS:,}")
    found: Headers = []
    for _ in range(count):
        name, at = held(data, at, end)
        if name is None:
            raise Damaged("a header in it has no name")
        value, at = held(data, at, end)
        found.append((name.decode("utf-8", "surrogateescape"), value))
    return found, at
