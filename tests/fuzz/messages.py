"""Messages by number, of either source. Of most of them it is known by their making what must become of them.

The same seed and number give the same message, so a million need not be kept to be compared with what was stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.events import Operation

PARTITIONS = 3
KNOWN_USERS = 600  # a multiple of the partitions, so that a user's events are all in one and in order
NOW_MS = 1_700_000_000_000

Expected = Literal["stored", "ignored", "dead", "any"]
Headers = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True)
class Message:
    """What is sent, what must become of it by its making, and, where it is a change, whose."""

    key: bytes | None
    value: bytes | None
    expected: Expected
    headers: Headers = ()
    timestamp: int = NOW_MS
    user: str | None = None
    operation: Operation = Operation.UPSERT
