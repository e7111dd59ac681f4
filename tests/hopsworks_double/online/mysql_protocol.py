"""The part of MySQL's wire protocol that pymysql and aiomysql need: handshake, text queries, their results."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from tests.hopsworks_double.rows.columns import Kind

SERVER_VERSION = b"8.0.34-double"

# Long password, found rows, connect with database, protocol 4.1, transactions, secure connection, pluggable login.
_CAPABILITIES = 0x1 | 0x2 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000
_UTF8MB4, _BINARY = 45, 63
_TYPES: dict[Kind, int] = {"string": 0xFD, "array": 0xFD, "double": 0x05, "timestamp": 0x07}
_BINARY_FLAG = 0x80
_STATUS_AUTOCOMMIT = 2
_FLUSH_AT = 1 << 20

QUIT, INIT_DB, QUERY, PING = 0x01, 0x02, 0x03, 0x0E


class Connection(Protocol):
    """What is needed of a socket."""

    def recv(self, size: int, /) -> bytes:
        """Some bytes, none at the end."""

    def sendall(self, data: bytes, /) -> None:
        """Send all of it."""


class Packets:
    """Reads and writes packets on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._out = bytearray()
        self._sequence = 0

    def read(self) -> bytes:
        """The next packet of the client; EOFError when it has gone."""
        header = self._exactly(4)
        self._sequence = (header[3] + 1) & 0xFF
        return self._exactly(int.from_bytes(header[:3], "little"))

    def flush(self) -> None:
        """Send what was written."""
        self._connection.sendall(bytes(self._out))
        self._out.clear()

    def greeting(self, thread: int, salt: bytes) -> None:
        """The server speaks first."""
        self._write(
            b"\x0a"
            + SERVER_VERSION
            + b"\0"
            + struct.pack("<I", thread)
            + salt[:8]
            + b"\0"
            + struct.pack("<HBHH", _CAPABILITIES & 0xFFFF, _UTF8MB4, _STATUS_AUTOCOMMIT, _CAPABILITIES >> 16)
            + bytes([len(salt) + 1])
            + bytes(10)
            + salt[8:]
            + b"\0mysql_native_password\0"
        )

    def ok(self) -> None:
        """Done, nothing to show."""
        self._write(b"\x00\x00\x00" + struct.pack("<HH", _STATUS_AUTOCOMMIT, 0))

    def error(self, number: int, message: str, state: str = "HY000") -> None:
        """An error with MySQL's number."""
        self._write(b"\xff" + struct.pack("<H", number) + b"#" + state.encode() + message.encode())

    def result(
        self, columns: Sequence[str], rows: Iterable[Sequence[bytes | None]], kinds: Mapping[str, Kind] | None = None
    ) -> None:
        """A table; a large one is sent as it comes. A column of which the kind is not given is text."""
        self._write(_size(len(columns)))
        for name in columns:
            self._write(_column(name, (kinds or {}).get(name, "string")))
        self._end()
        for row in rows:
            self._write(b"".join(b"\xfb" if cell is None else _sized(cell) for cell in row))
            if len(self._out) > _FLUSH_AT:
                self.flush()
        self._end()

    def _end(self) -> None:
        self._write(b"\xfe" + struct.pack("<HH", 0, _STATUS_AUTOCOMMIT))

    def _write(self, payload: bytes) -> None:
        self._out += len(payload).to_bytes(3, "little") + bytes([self._sequence]) + payload
        self._sequence = (self._sequence + 1) & 0xFF

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            part = self._connection.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return bytes(data)


def salt() -> bytes:
    """For one login; it must not contain zeros."""
    return os.urandom(20).replace(b"\0", b"\1")


def login(packet: bytes) -> tuple[str, bytes]:
    """The user and the proof of the password in the client's first packet."""
    end = packet.index(b"\0", 32)
    size = packet[end + 1]
    return packet[32:end].decode(), packet[end + 2 : end + 2 + size]


def proof(password: str, salt: bytes) -> bytes:
    """What `mysql_native_password` sends for a password."""
    once = _sha1(password.encode())
    return bytes(a ^ b for a, b in zip(once, _sha1(salt + _sha1(once)), strict=True))


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _size(number: int) -> bytes:
    if number < 251:
        return bytes([number])
    if number < 1 << 16:
        return b"\xfc" + struct.pack("<H", number)
    return b"\xfd" + number.to_bytes(3, "little")


def _sized(data: bytes) -> bytes:
    return _size(len(data)) + data


def _column(name: str, held: Kind) -> bytes:
    names = [b"def", b"", b"t", b"t", name.encode(), name.encode()]
    charset, flags = (_UTF8MB4, 0) if held == "string" else (_BINARY, _BINARY_FLAG)
    kind = struct.pack("<HIBHB", charset, 65535, _TYPES[held], flags, 0)
    return b"".join(map(_sized, names)) + bytes([len(kind) + 2]) + kind + bytes(2)
