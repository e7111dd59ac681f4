"""By what a record is known again: its bytes, whatever the ledger keeps of them later."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b

_BYTES = 16


def digest(key: bytes | None, value: bytes | None, headers: Sequence[Sequence[str | None]]) -> str:
    """A short text for key, value and headers, these as the ledger keeps them; others have another one."""
    mixed = blake2b(digest_size=_BYTES)
    for part in (key, value, json.dumps(headers).encode()):
        mixed.update(b"none" if part is None else b"%d:" % len(part))
        mixed.update(part or b"")
    return mixed.hexdigest()
