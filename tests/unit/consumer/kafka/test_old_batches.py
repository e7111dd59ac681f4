"""Messages of before Kafka 0.11 are read as kafka-python reads them where they are sound, and within bounds."""

from __future__ import annotations

import struct
from binascii import crc32
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.codec import gzip_encode, lz4_encode, snappy_encode
from kafka.consumer.fetcher import Fetcher
from kafka.record.legacy_records import LegacyRecordBatchBuilder

from consumer.kafka.records import Record, Unreadable
from tests.unit.consumer.kafka.test_fetched import all_of, portion, read, values
from tests.wire import GZIP, LZ4, NONE, NOW_MS, PACKED, SNAPPY, batch, records

CODECS = st.sampled_from([NONE, GZIP, SNAPPY, LZ4])
MESSAGES = st.lists(
    st.tuples(st.none() | st.binary(max_size=60), st.none() | st.binary(max_size=200)), min_size=1, max_size=8
)


def built(magic: int, codec: int, messages: list[tuple[bytes | None, bytes | None]], base: int) -> bytes:
    """As a broker keeps them: it gives a compressed batch the offset of its last message."""
    builder = LegacyRecordBatchBuilder(magic, codec, 2**20)
    for at, (key, value) in enumerate(messages):
        offset = at if codec and magic else base + at  # inside, offsets are counted from 0 since magic 1
        builder.append(offset, NOW_MS + at, key, value)
    data = bytes(builder.build())
    return struct.pack(">q", base + len(messages) - 1) + data[8:] if codec else data


@given(
    magic=st.sampled_from([0, 1]),
    codec=CODECS,
    messages=MESSAGES,
    base=st.integers(0, 1000),
    start=st.integers(0, 9),
    at_once=st.integers(1, 9),
)
@settings(deadline=None)
def test_sound_messages_are_read_as_the_client_reads_them(
    magic: int, codec: int, messages: list[tuple[bytes | None, bytes | None]], base: int, start: int, at_once: int
) -> None:
    if magic == 0 and codec == LZ4:
        codec = GZIP  # of which nobody has written a right one
    data, start = built(magic, codec, messages, base), base + min(start, len(messages) - 1)
    theirs: Any = portion(data, start, kind=Fetcher.PartitionRecords)
    same = [
        (one.offset, -1 if one.timestamp is None else one.timestamp, -1, one.key, one.value, one.headers)
        for one in all_of(theirs, at_once)
    ]
    ours = portion(data, start)
    assert [tuple(one) for one in all_of(ours, at_once)] == same
    assert ours.next_fetch_offset == base + len(messages)


def message(offset: int, value: bytes, *, attributes: int = 0, wrong: int = 0, size: int | None = None) -> bytes:
    body = struct.pack(">bbq", 1, attributes, NOW_MS) + struct.pack(">ii", -1, len(value)) + value
    body = struct.pack(">I", crc32(body) ^ wrong) + body
    return struct.pack(">qi", offset, len(body) if size is None else size) + body


INSIDE = message(0, b"a") + message(1, b"b")


@pytest.mark.parametrize(
    ("data", "expected", "why"),
    [
        (message(0, b"a", wrong=1), ["fetch"], "checksum"),
        (message(2, gzip_encode(INSIDE + message(2, b"", wrong=1)), attributes=GZIP), [b"a", b"b", "fetch"], "check"),
        (message(2, gzip_encode(INSIDE + message(2, b"c", size=-12)), attributes=GZIP), ["fetch"], "-12 bytes"),
        (message(2, gzip_encode(INSIDE + b"abc"), attributes=GZIP), ["fetch"], "too early"),
        (message(2, b"no gzip", attributes=GZIP), ["fetch"], "unpacked by gzip"),
        (message(1, snappy_encode(message(0, b"a") + message(0, b"b")), attributes=SNAPPY), [b"a", "fetch"], "offset"),
        (message(0, lz4_encode(message(0, b"", attributes=GZIP)), attributes=LZ4), ["fetch"], "in another"),
    ],
    ids=["checksum", "inner checksum", "negative size", "cut off", "no gzip", "offset twice", "two layers"],
)  # fmt: skip
def test_what_is_wrong_is_one_letter_and_what_is_behind_is_read(data: bytes, expected: list[object], why: str) -> None:
    found = read(data + batch(records(b"behind"), 3))
    assert values(found) == [*expected, b"behind"]
    (bad,) = [one for one in found if isinstance(one, Unreadable)]
    assert why in bad.reason
    assert isinstance(found[-1], Record)


@given(
    codec=st.sampled_from([GZIP, SNAPPY, LZ4]),
    messages=MESSAGES,
    noise=st.binary(max_size=9),
    at=st.integers(0, 999),
)
@settings(deadline=None)
def test_whatever_is_inside_nothing_is_raised(
    codec: int, messages: list[tuple[bytes | None, bytes | None]], noise: bytes, at: int
) -> None:
    inside = bytearray(built(1, NONE, messages, 0))
    at %= len(inside)
    inside[at : at + len(noise)] = noise
    packed = bytes(PACKED[codec](bytes(inside)))
    offsets = [one.offset for one in read(message(len(messages) - 1, packed, attributes=codec))]
    assert offsets == sorted(offsets)


def test_what_cannot_be_read_begins_behind_what_was_read() -> None:
    broken = bytearray(built(0, NONE, [(b"k", b"v")], 104))
    broken[-1] ^= 1
    packed = gzip_encode(bytes(broken))
    body = struct.pack(">bbi", 0, GZIP, -1) + struct.pack(">i", len(packed)) + packed
    message = struct.pack(">I", crc32(body)) + body
    data = batch(records(b"a", b"b", b"c"), 100) + struct.pack(">qi", 104, len(message)) + message
    found = read(data, 100)
    assert [one.offset for one in found] == [100, 101, 102, 103]
    assert isinstance(found[-1], Unreadable)
    assert found[-1].following == 105
