"""What a fetch brought is read as kafka-python reads it where it is sound, and within bounds where it is not."""

from __future__ import annotations

import struct
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.codec import gzip_encode, zstd_encode
from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel
from kafka.record.memory_records import MemoryRecords
from kafka.record.util import calc_crc32c

from consumer.kafka import fetched as fetched_module
from consumer.kafka.fetched import Portion
from consumer.kafka.fields import MOST_HEADERS
from consumer.kafka.records import Found, Record, Unreadable
from tests.wire import (
    APPEND_TIME,
    CONTROL,
    GZIP,
    LZ4,
    NONE,
    NOW_MS,
    SNAPPY,
    TRANSACTIONAL,
    ZSTD,
    Sent,
    batch,
    bomb,
    held,
    number,
    records,
)

T0 = TopicPartition("t", 0)
CODECS = [NONE, GZIP, SNAPPY, LZ4, ZSTD]


@dataclass(frozen=True)
class Aborted:
    """A transaction that the broker says was aborted."""

    producer_id: int
    first_offset: int


def portion(data: bytes, start: int = 0, aborted: Sequence[Aborted] = (), kind: Any = Portion) -> Any:
    return kind(
        start, T0, MemoryRecords(data), isolation_level=IsolationLevel.READ_COMMITTED, aborted_transactions=aborted
    )


def all_of(part: Any, at_once: int = 1000) -> list[Any]:
    found: list[Any] = []
    for _ in range(10_000):
        if not part:
            return found
        found += part.take(at_once)
    raise AssertionError("it does not come to its end")


def read(data: bytes, start: int = 0, at_once: int = 1000) -> list[Found]:
    return all_of(portion(data, start), at_once)


def values(found: list[Found]) -> list[object]:
    return [one.value if isinstance(one, Record) else one.stage for one in found]


SENT = st.builds(
    Sent,
    key=st.none() | st.binary(max_size=80),
    value=st.none() | st.binary(max_size=300),
    headers=st.lists(st.tuples(st.text(max_size=4).map(str.encode), st.none() | st.binary(max_size=4)), max_size=3),
    later=st.integers(-(2**40), 2**40),
)


@st.composite
def topics(draw: st.DrawFn) -> tuple[bytes, list[Aborted], int]:
    """Batches one behind the other, with gaps, transactions and the brokers' marks; where they end."""
    offset, data, aborted, running = draw(st.integers(0, 2**40)), b"", list[Aborted](), dict[int, bool]()
    for _ in range(draw(st.integers(0, 6))):
        offset += draw(st.integers(0, 2))
        producer = draw(st.sampled_from([-1, 7, 8]))
        ends = producer in running and draw(st.booleans())
        if ends:
            kind = b"\0\0" + (b"\0\0" if running.pop(producer) else b"\0\1")
            sent, flags, codec = [Sent(key=kind, value=b"\0" * 6)], TRANSACTIONAL | CONTROL, NONE
        else:
            sent, delta = [], 0
            for one in draw(st.lists(SENT, max_size=5)):
                sent.append(Sent(one.key, one.value, one.headers, delta, one.later))
                delta += draw(st.integers(1, 3))
            codec = draw(st.sampled_from(CODECS)) if sent else NONE
            flags = draw(st.sampled_from([0, APPEND_TIME])) | (TRANSACTIONAL if producer >= 0 else 0)
            if producer >= 0 and producer not in running:
                running[producer] = draw(st.booleans())
                if running[producer]:
                    aborted.append(Aborted(producer, offset))
        last = max((one.delta for one in sent), default=0) + draw(st.integers(0, 2))
        epoch = draw(st.integers(0, 3))
        data += batch(sent, offset, codec=codec, flags=flags, last=last, producer=producer, epoch=epoch)
        offset += last + 1
    return data, aborted, offset


@given(topic=topics(), start=st.integers(-3, 12), at_once=st.integers(1, 7), cut=st.integers(0, 80))
@settings(deadline=None)
def test_sound_batches_are_read_as_the_client_reads_them(
    topic: tuple[bytes, list[Aborted], int], start: int, at_once: int, cut: int
) -> None:
    data, aborted, end = topic
    data = data[: len(data) - cut] if cut < 40 else data  # the last batch of a fetch may be cut off
    start = max(0, end - 12 + start)
    ours, theirs = portion(data, start, aborted), portion(data, start, aborted, Fetcher.PartitionRecords)
    same = [
        (one.offset, one.timestamp, one.leader_epoch, one.key, one.value, one.headers)
        for one in all_of(theirs, at_once)
    ]
    assert [tuple(one) for one in all_of(ours, at_once)] == same
    assert (ours.next_fetch_offset, ours.leader_epoch) == (max(start, theirs.next_fetch_offset), theirs.leader_epoch)


@given(sent=st.lists(SENT, min_size=1, max_size=20), codec=st.sampled_from(CODECS), at_once=st.integers(1, 30))
def test_between_polls_it_stands_behind_what_it_gave(sent: list[Sent], codec: int, at_once: int) -> None:
    spaced = [Sent(one.key, one.value, one.headers, 2 * at, one.later) for at, one in enumerate(sent)]
    part = portion(batch(spaced, 5, codec=codec, last=2 * len(sent) + 3), 5)
    given = []
    while part:
        given += part.take(at_once)
        whole = len(given) == len(sent)
        assert part.next_fetch_offset == (5 + 2 * len(sent) + 4 if whole else given[-1].offset + 1)
    assert [one.offset for one in given] == [5 + 2 * at for at in range(len(sent))]


MUTATIONS = st.lists(st.tuples(st.integers(0, 10**6), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4)


@given(
    sent=st.lists(SENT, min_size=1, max_size=8),
    codec=st.sampled_from(CODECS),
    mutations=MUTATIONS,
    right=st.booleans(),
    start=st.integers(0, 12),
    at_once=st.integers(1, 9),
)
@settings(deadline=None, max_examples=200)
def test_whatever_the_bytes_are_nothing_is_raised_and_reading_goes_on(
    sent: list[Sent], codec: int, mutations: list[tuple[int, bytes]], right: bool, start: int, at_once: int
) -> None:
    spaced = [Sent(one.key, one.value, one.headers, at, one.later) for at, one in enumerate(sent)]
    plain = batch(spaced, 3, codec=codec)
    behind = batch(records(b"behind"), 3 + len(sent))
    damaged = bytearray(plain)
    for at, noise in mutations:
        at %= len(damaged)
        damaged[at : at + len(noise)] = noise
    damaged[:8] = plain[:8]  # the broker's own
    if right:  # as of a client that made it so, with a length and a checksum that hold, and an end that a broker checks
        damaged[23:27] = plain[23:27]
        damaged[8:12] = struct.pack(">i", len(damaged) - 12)
        damaged[16] = 2
        damaged[17:21] = struct.pack(">I", calc_crc32c(memoryview(damaged)[21:]))
    part = portion(bytes(damaged) + behind, start)
    found = all_of(part, at_once)
    at = start
    for one in found:
        place = one.following if isinstance(one, Unreadable) else one.offset + 1
        assert place >= at
        at = place
        if isinstance(one, Unreadable):
            assert one.offset >= start
            assert "offset" in one.reason
    assert part.next_fetch_offset >= at


def test_a_header_name_that_is_not_utf_8_is_kept_and_spoils_nothing() -> None:
    sent = records(b"one", b"two", headers=[(b"\xff\xfe", b"1"), (b"", None), ("ö".encode(), b"")])
    found = read(batch(sent))
    assert values(found) == [b"one", b"two"]
    for one in found:
        assert isinstance(one, Record)
        assert [(name.encode("utf-8", "surrogateescape"), value) for name, value in one.headers] == sent[0].headers


def test_many_of_them_cost_no_more_than_good_ones() -> None:
    def seconds(name: bytes) -> float:
        data = batch(records(*[b"x"] * 20_000, headers=[(name, b"1")]))
        took = []
        for _ in range(3):
            began = time.process_time()
            assert len(read(data, at_once=50_000)) == 20_000
            took.append(time.process_time() - began)
        return min(took)

    assert seconds(b"\xff\xfe") < 5 * seconds(b"ab")


def test_a_record_with_too_many_headers_is_passed_over() -> None:
    few, many = [(b"", None)] * MOST_HEADERS, [(b"", None)] * (MOST_HEADERS + 1)
    found = read(batch([Sent(headers=many), Sent(headers=few, delta=1)]))
    assert isinstance(found[0], Unreadable)
    assert (found[0].offset, found[0].following, found[0].stage) == (0, 1, "size")
    assert "10,001 headers" in found[0].reason
    assert isinstance(found[1], Record)
    assert len(found[1].headers) == MOST_HEADERS


@pytest.mark.parametrize("codec", [GZIP, SNAPPY, LZ4, ZSTD])
def test_a_batch_that_unpacks_to_too_much_is_one_letter_and_what_is_behind_is_read(codec: int) -> None:
    data = bomb(codec, 40, values=2) + batch(records(b"good"), 2)
    tracemalloc.start()
    try:
        found = read(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert values(found) == ["size", b"good"]
    assert isinstance(found[0], Unreadable)
    assert (found[0].offset, found[0].following, found[0].timestamp) == (0, 2, NOW_MS + 1000)
    assert found[0].reason.startswith("offsets 0 to 1 cannot be read: unpacked, it is more than the 67,108,864 bytes")
    assert peak < 150 * 2**20


def test_a_batch_of_very_many_records_is_read_by_and_by() -> None:
    plain = b"".join(Sent(delta=at).wire() for at in range(50_000))
    data = batch(b"", codec=ZSTD, packed=zstd_encode(plain), count=50_000, last=49_999)
    part = portion(data)
    tracemalloc.start()
    try:
        assert [one.offset for one in part.take(1000)] == list(range(1000))
        assert tracemalloc.get_traced_memory()[1] < 4 * len(plain)
    finally:
        tracemalloc.stop()
    assert len(all_of(part, 50_000)) == 49_000


def test_a_poll_ends_once_it_has_brought_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched_module, "_POLLED", 1000)
    data = b"".join(batch(records(bytes(400), bytes(400)), 2 * at, codec=ZSTD) for at in range(5))
    part = portion(data)
    assert [len(part.take(50)) for _ in range(4)] == [3, 3, 3, 1]
    with_headers = portion(batch(records(*[b""] * 20, headers=[(b"", None)] * 5)))
    assert [len(with_headers.take(50)) for _ in range(5)] == [2] * 5


def second(inside: bytes) -> bytes:
    """A record at offset 1 of a right length, whatever is behind its offset."""
    body = b"\0" + number(0) + number(1) + inside
    return ONE + number(len(body)) + body + THREE


Damage = tuple[bytes, list[object], str]
ONE, TWO, THREE = (Sent(value=value, delta=at).wire() for at, value in enumerate((b"one", b"two", b"three")))
BAD: dict[str, Damage] = {
    "a value longer than its record": (
        batch(second(held(None) + number(99) + b"xxx"), count=3, last=2),
        [b"one", "fetch", b"three"],
        "offset 1 cannot be read: 99 bytes are said to be in it, where",
    ),
    "a record longer than the batch": (
        batch(ONE + number(10_000) + TWO + THREE, count=3, last=2),
        [b"one", "fetch"],
        "offsets 1 to 2 cannot be read: a record of 10000 bytes is said to be there",
    ),
    "a negative length": (batch(ONE + number(-5) + TWO, count=3, last=2), [b"one", "fetch"], "a record of -5 bytes"),
    "a number without end": (batch(ONE + b"\xff" * 20, count=2, last=1), [b"one", "fetch"], "more than ten bytes"),
    "a size that cannot be": (
        batch(second(held(None) + number(2**60) + bytes(17)), count=3, last=2),
        [b"one", "fetch", b"three"],
        f"offset 1 cannot be read: {2**60} bytes",
    ),
    "more records said than there are": (
        batch(ONE + TWO, count=9, last=8),
        [b"one", b"two", "fetch"],
        "offsets 2 to 8",
    ),
    "fewer records said than there are": (
        batch(ONE + TWO, count=1, last=0),
        [b"one", "fetch"],
        "bytes are left after",
    ),
    "an offset behind the batch's end": (batch(ONE + THREE, count=2, last=1), [b"one", "fetch"], "at offset 2"),
    "an offset twice": (batch(ONE + ONE, count=2, last=1), [b"one", "fetch"], "at offset 0"),
    "headers without end": (
        batch(second(held(None) + held(b"") + number(2**20) + b"\0"), count=3, last=2),
        [b"one", "fetch", b"three"],
        "headers are said to be in it",
    ),
    "a header without a name": (
        batch(second(held(None) + held(b"") + number(1) + held(None) + held(b"")), count=3, last=2),
        [b"one", "fetch", b"three"],
        "a header in it has no name",
    ),
    "what is no zstd": (batch(b"", codec=ZSTD, packed=b"abc" * 9, count=4, last=3), ["fetch"], "offsets 0 to 3"),
    "an unknown codec": (batch(b"", codec=NONE, flags=6, count=1), ["fetch"], "codec 6"),
    "a negative count": (batch(b"", count=-1), ["fetch"], "said to have -1 records"),
    "an end before its beginning": (batch(ONE, last=-7), ["fetch"], "from offset 0 to -7"),
    "a cut off stream": (
        batch(b"", codec=GZIP, packed=bytes(gzip_encode(ONE * 9))[:-9], count=9, last=8),
        ["fetch"],
        "cannot be unpacked by gzip",
    ),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("at_once", [1, 2, 1000])
def test_what_is_wrong_inside_is_one_letter_and_all_else_is_read(what: str, at_once: int) -> None:
    data, expected, reason = BAD[what]
    following = max(1, len(expected)) + 20
    found = read(data + batch(records(b"behind"), following), at_once=at_once)
    assert values(found) == [*expected, b"behind"]
    (bad,) = [one for one in found if isinstance(one, Unreadable)]
    assert reason in bad.reason
    assert "retrainer train --full" in bad.reason


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_a_batch_with_a_wrong_checksum_is_passed_over_to_where_the_next_begins() -> None:
    first, bad, behind = batch(records(b"a", b"b")), batch(records(b"c", b"d"), 2), batch(records(b"e"), 9)
    found = read(first + _flipped(bad, 70) + behind)
    assert values(found) == [b"a", b"b", "fetch", b"e"]
    assert isinstance(found[2], Unreadable)
    assert (found[2].offset, found[2].following) == (2, 9)
    assert "checksum" in found[2].reason


def test_the_last_one_with_a_wrong_checksum_is_passed_over_by_what_it_says_where_that_can_be() -> None:
    (found,) = read(_flipped(batch(records(b"c", b"d"), 2), 70), start=2)
    assert found[:2] == (2, 4)
    (found,) = read(_flipped(batch(records(b"c", b"d"), 2, last=2**30), 70), start=2)
    assert found[:2] == (2, 3)  # and the broker is asked for what is behind one offset


@pytest.mark.parametrize("length", [-13, -1, 0, 13])
def test_a_length_that_no_batch_has_costs_one_offset(length: int) -> None:
    data = batch(records(b"a")) + struct.pack(">qi", 1, length) + bytes(100)
    found = read(data)
    assert values(found) == [b"a", "fetch"]
    assert found[1][:2] == (1, 2)


@pytest.mark.parametrize("size", range(14, 49))
def test_a_batch_shorter_than_its_header_is_passed_over(size: int) -> None:
    whole = batch(records(b"a"))
    found = read(whole[:8] + struct.pack(">i", size) + whole[12 : 12 + size] + batch(records(b"b"), 1))
    assert values(found) == ["fetch", b"b"]


def test_a_format_of_the_future_is_passed_over() -> None:
    whole = batch(records(b"a"))
    assert values(read(whole[:16] + b"\3" + whole[17:] + batch(records(b"b"), 1))) == ["fetch", b"b"]


@pytest.mark.parametrize("later", [2**64, 2**63, -(2**64) - 7, 2**62 - NOW_MS, 2**69 - 1, -(2**69)])
def test_a_time_is_a_number_of_64_bits_as_brokers_and_ledgers_count(later: int) -> None:
    (one,) = read(batch([Sent(value=b"v", later=later)]))
    assert isinstance(one, Record)
    assert -(2**63) <= one.timestamp < 2**63
    assert (one.timestamp - NOW_MS - later) % 2**64 == 0
    assert one.value == b"v"


def test_times_counted_from_the_end_of_all_time_come_round() -> None:
    sent = [Sent(value=b"a"), Sent(value=b"b", delta=1, later=9)]
    data = bytearray(batch(sent))
    struct.pack_into(">q", data, 27, 2**63 - 1)
    struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    assert [one.timestamp for one in read(bytes(data))] == [2**63 - 1, -(2**63) + 8]


@pytest.mark.parametrize("spoilt", [False, True])
def test_a_poll_ends_with_a_batch_that_was_unpacked_in_vain(*, spoilt: bool) -> None:
    """In a fetch of 4 MB there is room for thousands, of which each costs a tenth of a second."""
    packed = b"no zstd" if spoilt else bomb(ZSTD, 80)[61:]
    one = batch(b"", codec=ZSTD, packed=packed, count=1)
    data = b"".join(struct.pack(">q", at) + one[8:] for at in range(4)) + batch(records(b"good"), 4)
    part = portion(data)
    assert [len(part.take(1000)) for _ in range(4)] == [1, 1, 1, 1]
    assert [one.value for one in part.take(1000)] == [b"good"]
