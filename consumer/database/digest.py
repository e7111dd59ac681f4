"""The digest by which a record is known again, whatever the ledger keeps of its bytes later. It never changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b

_BYTES = 16


def digest(key: bytes | None, value: bytes | None, headers: Sequence[Sequence[str | None]]) -> str:
    """A short text for key, value and headers; the headers as the ledger keeps them, values in base64."""
    mixed = blake2b(digest_size=_BYTES)
    for part in (key, value, json.dumps(headers).encode()):
        mixed.update(b"none" if part is None else b"%d:" % len(part))
        mixed.update(part or b"")
    return mixed.hexdigest()
