"""Compressed bytes are unpacked up to a limit, whatever they say of themselves."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from itertools import product

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from kafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode

from consumer.kafka.fields import Damaged, TooLarge
from consumer.kafka.unpacking import unpacked


def _raw_snappy(data: bytes) -> bytes:
    return bytes(snappy_encode(data, xerial_compatible=False))


PACKED: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, lambda data: data),
    "gzip": (1, gzip_encode),
    "snappy in blocks": (2, snappy_encode),
    "snappy": (2, _raw_snappy),
    "lz4": (3, lz4_encode),
    "zstd": (4, zstd_encode),
    "zstd of a stream": (4, lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data)),
}
COMPRESSED = [name for name in PACKED if name != "none"]


def _unpacked(name: str, packed: bytes, most: int = 2**20) -> bytes:
    return unpacked(PACKED[name][0], memoryview(packed), most)


@given(name=st.sampled_from(list(PACKED)), data=st.binary(max_size=3000), times=st.integers(1, 50))
def test_what_was_packed_comes_out(name: str, data: bytes, times: int) -> None:
    assert _unpacked(name, PACKED[name][1](data * times)) == data * times


@pytest.mark.parametrize(("name", "size"), list(product(COMPRESSED, [1, 1000, 100_000])))
def test_the_limit_is_met_to_the_byte(name: str, size: int) -> None:
    packed = PACKED[name][1](b"ab" * size)
    assert len(_unpacked(name, packed, 2 * size)) == 2 * size
    with pytest.raises(TooLarge, match=f"more than the {2 * size - 1:,} bytes"):
        _unpacked(name, packed, 2 * size - 1)


@pytest.mark.parametrize("name", COMPRESSED)
def test_what_unpacks_to_too_much_takes_little_memory(name: str) -> None:
    packed = PACKED[name][1](bytes(16 * 2**20))
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            _unpacked(name, packed, 2**20)
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20 + len(packed)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "blocks", [b"\xff\xff\xff\xff\x0f", b"\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\5\xff\xff\xff\xff\x0f"]
)
def test_a_size_that_snappy_declares_makes_nobody_take_memory(blocks: bytes) -> None:
    with pytest.raises(TooLarge):
        _unpacked("snappy", blocks)


@pytest.mark.parametrize("size", [-1, 100, 2**31 - 1])
def test_a_block_of_snappy_that_is_not_whole_is_damage(size: int) -> None:
    with pytest.raises(Damaged, match=f"a block of {size} bytes"):
        _unpacked("snappy", b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" + size.to_bytes(4, "big", signed=True) + b"abc")


def test_files_of_gzip_one_behind_the_other_are_one() -> None:
    assert _unpacked("gzip", gzip.compress(b"ab") + gzip.compress(b"cd")) == b"abcd"


@pytest.mark.parametrize("codec", [5, 6, 7])
def test_a_codec_that_nobody_knows_is_damage(codec: int) -> None:
    with pytest.raises(Damaged, match=f"codec {codec}"):
        unpacked(codec, memoryview(b"abc"))


@given(
    name=st.sampled_from(COMPRESSED),
    data=st.binary(max_size=500),
    at=st.integers(0, 10**6),
    noise=st.binary(max_size=8),
    cut=st.integers(0, 10**6),
)
def test_any_bytes_are_unpacked_or_refused(name: str, data: bytes, at: int, noise: bytes, cut: int) -> None:
    packed = PACKED[name][1](data * 5)
    at, cut = at % (len(packed) + 1), cut % (len(packed) + 1)
    with suppress(Damaged, TooLarge):
        assert len(_unpacked(name, (packed[:at] + noise + packed[at + len(noise) :])[:cut], 10_000)) <= 10_000
