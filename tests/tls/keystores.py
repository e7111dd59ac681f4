"""Java key stores (JKS, version 2), written by hand: the SDK unpacks them and checks their digest and passwords."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Sequence

# The encoded object identifier 1.3.6.1.4.1.42.2.17.1.1, Sun's way to protect a key.
_SUN_KEY_PROTECTION = bytes.fromhex("060A2B060104012A02110101")
_CREATED_MS = 1_700_000_000_000
_SHA1_SIZE = 20


def key_store(key: bytes, chain: Sequence[bytes], password: str) -> bytes:
    """A store with one private key (PKCS 8, DER) and its certificates (DER), the key's own first."""
    protected = _protected(key, password)
    certificates = b"".join(map(_certificate, chain))
    entry = struct.pack(">I", 1) + _text("client") + struct.pack(">Q", _CREATED_MS)
    entry += struct.pack(">I", len(protected)) + protected + struct.pack(">I", len(chain)) + certificates
    return _store([entry], password)


def trust_store(authorities: Sequence[bytes], password: str) -> bytes:
    """A store with the certificates (DER) of authorities to trust."""
    entries = [
        struct.pack(">I", 2) + _text(f"authority{number}") + struct.pack(">Q", _CREATED_MS) + _certificate(authority)
        for number, authority in enumerate(authorities)
    ]
    return _store(entries, password)


def _store(entries: Sequence[bytes], password: str) -> bytes:
    body = struct.pack(">III", 0xFEEDFEED, 2, len(entries)) + b"".join(entries)
    return body + _sha1(_secret(password) + b"Mighty Aphrodite" + body)


def _protected(key: bytes, password: str) -> bytes:
    """The key, XORed with a chain of digests that starts from a salt, then a digest to check the password by."""
    secret = _secret(password)
    salt = digest = os.urandom(_SHA1_SIZE)
    hidden = bytearray()
    for start in range(0, len(key), _SHA1_SIZE):
        digest = _sha1(secret + digest)
        hidden += bytes(a ^ b for a, b in zip(key[start : start + _SHA1_SIZE], digest, strict=False))
    algorithm = _asn1(0x30, _SUN_KEY_PROTECTION + b"\x05\x00")
    return _asn1(0x30, algorithm + _asn1(0x04, salt + bytes(hidden) + _sha1(secret + key)))


def _asn1(tag: int, body: bytes) -> bytes:
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + body


def _certificate(der: bytes) -> bytes:
    return _text("X.509") + struct.pack(">I", len(der)) + der


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack(">H", len(raw)) + raw


def _secret(password: str) -> bytes:
    return password.encode("utf-16-be")


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()
