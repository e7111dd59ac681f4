"""Unpacking what a producer has compressed, up to a size: a few bytes from a stranger must not fill the memory."""

from __future__ import annotations

import gzip
import io
import struct
from collections.abc import Callable
from typing import Any

import lz4.frame
import snappy
import zstandard

from consumer.kafka.fields import Damaged, TooLarge

MOST_UNPACKED = 64 * 2**20
"""The most bytes that a compressed batch may hold. A broker takes one of 1 MB, packed, by default."""

_FIRST_PART = 2**18
_XERIAL = b"\x82SNAPPY\0"
_XERIAL_HEADER = 16  # the magic, and two versions that some producers write the wrong way round
_BLOCK = struct.Struct(">i")


class _MoreError(Exception):
    """More bytes than the limit."""


def unpacked(codec: int, data: memoryview, most: int = MOST_UNPACKED) -> bytes:
    """The bytes that were compressed.

    Args:
        codec: as in the attributes of a record batch.
        data: the compressed bytes, whole.
        most: the most bytes that are unpacked, and held in memory, whatever size `data` claims.

    Raises:
        TooLarge: there are more.
        Damaged: `data` cannot be unpacked, or Kafka has no such codec.
    """
    if codec == 0:
        return bytes(data)
    if codec not in _CODECS:
        raise Damaged(f"codec {codec} is none that Kafka knows")
    name, unpack = _CODECS[codec]
    try:
        found = unpack(data, most)
        if len(found) > most:
            raise _MoreError
    except _MoreError:
        raise TooLarge(f"unpacked, it is more than the {most:,} bytes that are read of a batch") from None
    except MemoryError:  # of a machine that has not even so much
        raise
    except Exception as error:  # each library has errors of its own
        said = str(error) or error.__cause__ or type(error).__name__
        raise Damaged(f"it cannot be unpacked by {name}: {said}") from error
    return found


def _gzip(data: memoryview, most: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
        return _up_to(most + 1, packed)


def _up_to(most: int, packed: Any) -> bytes:
    """At most so many bytes, asked for in growing parts: a reader makes room for as much as it is asked for."""
    parts, room, size = [], most, _FIRST_PART
    while room and (part := packed.read(min(room, size))):
        parts.append(part)
        room -= len(part)
        size *= 2
    return b"".join(parts)


def _snappy(data: memoryview, most: int) -> bytes:
    if data[: len(_XERIAL)] != _XERIAL or len(data) < _XERIAL_HEADER:
        return _snappy_block(data, most)
    parts, room, at = [], most, _XERIAL_HEADER
    while at < len(data):
        (size,) = _BLOCK.unpack_from(data, at)
        at += _BLOCK.size
        if not 0 <= size <= len(data) - at:
            raise Damaged(f"a block of {size} bytes, where {len(data) - at} are left")
        parts.append(_snappy_block(data[at : at + size], room))
        room -= len(parts[-1])
        at += size
    return b"".join(parts)


def _snappy_block(data: memoryview, most: int) -> bytes:
    """One block. It begins with its unpacked size, and the library makes room for that at once."""
    said = shift = 0
    for byte in data[:5]:
        said |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    if said > most:
        raise _MoreError
    return bytes(snappy.uncompress(bytes(data)))


def _lz4(data: memoryview, most: int) -> bytes:
    with lz4.frame.LZ4FrameFile(io.BytesIO(data)) as packed:
        return _up_to(most + 1, packed)


def _zstd(data: memoryview, most: int) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True) as packed:
        return _up_to(most + 1, packed)


_CODECS: dict[int, tuple[str, Callable[[memoryview, int], bytes]]] = {
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("lz4", _lz4),
    4: ("zstd", _zstd),
}
