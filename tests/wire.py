"""Kafka's own bytes, made by hand: record batches such as no decent client sends, and the way to a broker."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO

import zstandard
from kafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from kafka.record.util import calc_crc32c

NOW_MS = 1_700_000_000_000  # so long ago that a topic that is to keep it needs retention_ms="-1"
NONE, GZIP, SNAPPY, LZ4, ZSTD = range(5)
PACKED = {GZIP: gzip_encode, SNAPPY: snappy_encode, LZ4: lz4_encode, ZSTD: zstd_encode}
APPEND_TIME, TRANSACTIONAL, CONTROL = 0x08, 0x10, 0x20


def number(value: int) -> bytes:
    """A number of variable length, zigzag."""
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


def held(value: bytes | None) -> bytes:
    """Bytes with their size before them."""
    return number(-1) if value is None else number(len(value)) + value


@dataclass(frozen=True)
class Sent:
    """A record of a batch, by the distance of its offset from the batch's."""

    key: bytes | None = None
    value: bytes | None = b""
    headers: Sequence[tuple[bytes, bytes | None]] = ()
    delta: int = 0
    later: int = 0

    def wire(self) -> bytes:
        """Its bytes."""
        headers = b"".join(held(name) + held(value) for name, value in self.headers)
        what = held(self.key) + held(self.value) + number(len(self.headers)) + headers
        body = b"\0" + number(self.later) + number(self.delta) + what
        return number(len(body)) + body


def records(*values: bytes, headers: Sequence[tuple[bytes, bytes | None]] = ()) -> list[Sent]:
    """Records of these values, one behind the other."""
    return [Sent(value=value, headers=headers, delta=at) for at, value in enumerate(values)]


def batch(
    sent: Iterable[Sent] | bytes,
    base: int = 0,
    *,
    codec: int = NONE,
    flags: int = 0,
    count: int | None = None,
    last: int | None = None,
    producer: int = -1,
    epoch: int = 0,
    packed: bytes | None = None,
    latest: int = NOW_MS + 1000,
) -> bytes:
    """A batch of magic 2 with a right checksum, whatever else is wrong with it.

    Args:
        sent: its records, or the bytes that stand for them.
        base: its first offset.
        codec, flags: its attributes.
        count, last: what it says of how many there are, and of the distance of the last one; the truth where not given.
        producer, epoch: the id of a transactional producer, and the leader's epoch.
        packed: what stands for the compressed records.
        latest: its latest time.
    """
    listed = [] if isinstance(sent, bytes) else list(sent)
    plain = sent if isinstance(sent, bytes) else b"".join(one.wire() for one in listed)
    body = packed if packed is not None else PACKED[codec](plain) if codec else plain
    count = len(listed) if count is None else count
    last = max((one.delta for one in listed), default=0) if last is None else last
    covered = struct.pack(
        ">hiqqqhii", codec | flags, last, NOW_MS, latest, producer, 0 if producer >= 0 else -1, -1, count
    )
    after = covered + body
    head = struct.pack(">ibI", epoch, 2, calc_crc32c(after)) + after
    return struct.pack(">qi", base, len(head)) + head


def bomb(codec: int, megabytes: int, *, values: int = 1) -> bytes:
    """A batch of `values` records of nothing but zeros, so many megabytes each, packed as small as the codec can."""
    value = bytes(megabytes * 2**20)
    wires = [Sent(key=b"k", value=value, delta=at).wire() for at in range(values)]
    if codec == ZSTD:
        out = BytesIO()
        with zstandard.ZstdCompressor(level=1).stream_writer(out, closefd=False) as packer:
            for wire in wires:
                packer.write(wire)
        packed = out.getvalue()
    else:
        packed = bytes(PACKED[codec](b"".join(wires)))
    return batch(b"", codec=codec, packed=packed, count=values, last=values - 1)


def produce(address: str, topic: str, data: bytes, partition: int = 0) -> tuple[int, int]:
    """Have a broker append a batch as it is; its answer: an error's code, 0 for none, and the offset."""
    host, port = address.split(":")
    text = topic.encode()
    request = struct.pack(">hhih4s", 0, 7, 1, 4, b"test") + struct.pack(">hhi", -1, 1, 60_000)
    request += struct.pack(">ih", 1, len(text)) + text + struct.pack(">iii", 1, partition, len(data)) + data
    with socket.create_connection((host, int(port)), timeout=60) as link:
        link.sendall(struct.pack(">i", len(request)) + request)
        with link.makefile("rb") as answers:
            (size,) = struct.unpack(">i", answers.read(4))
            answer = answers.read(size)
    place = 4 + 4 + 2 + len(text) + 4 + 4
    code, offset = struct.unpack(">hq", answer[place : place + 10])
    return code, offset
