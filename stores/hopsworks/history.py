"""Which row of an offline table that keeps history is the current row of a key, a user's or a label's.

Hopsworks merges writes by the primary key, the event time and the partition columns: an upsert with another event time
adds a row, and the old row stays. The row with the latest event time is current; a null is older than every time. Of
two rows of the same time in two partitions, the row of the greater partition, as text, is current; where nothing
distinguishes two rows, the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from stores.errors import ContractError

_AS_MILLISECONDS = 10**10
_NULL_TIME = bytes(8)  # as a time it would be 292 million years ago
_SIGN = np.uint64(1 << 63)


def age_columns(found: Any) -> list[str]:
    """The columns that decide which row of a key is the latest, the event time first; empty where none does."""
    if not found.event_time:
        return []
    has = {feature.name for feature in found.columns}
    return list(dict.fromkeys([found.event_time, *(name for name in found.partition_key or [] if name in has)]))


def ages(batch: Any, columns: Sequence[str]) -> list[bytes]:
    """For each row of an Arrow batch bytes that are greater for a later row: the time, then the partitions."""
    time, *partitions = (batch.column(name) for name in columns)
    kind = time.type
    if pa.types.is_temporal(kind):
        time = time.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    valid = time.is_valid().to_pylist()
    # Shifted so that the smallest number is all zero bits, big end first: then bytes sort as the numbers do.
    shifted = time.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64) ^ _SIGN
    packed = shifted.astype(">u8").tobytes()
    found = [packed[8 * at : 8 * at + 8] if there else _NULL_TIME for at, there in enumerate(valid)]
    for partition in partitions:
        found = [age + b"\0" + str(value).encode() for age, value in zip(found, partition.to_pylist(), strict=True)]
    return found


def until(batch: Any, column: str, moment: datetime) -> Any:
    """The rows of an Arrow batch whose event time is not after a moment; those without a time count as older.

    A number of ten digits at most is in seconds, a longer one in milliseconds, as Hopsworks has it.
    """
    time = batch.column(column)
    if pa.types.is_integer(time.type):
        stamps = time.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
        seconds = np.where(np.abs(stamps) < _AS_MILLISECONDS, stamps, stamps / 1000)
        return batch.filter(pa.array(seconds <= moment.timestamp()))
    stamps = time.cast(pa.timestamp("us", getattr(time.type, "tz", None)), safe=False).cast(pa.int64()).fill_null(0)
    return batch.filter(pa.array(stamps.to_numpy(zero_copy_only=False) <= moment.timestamp() * 1_000_000))


class Latest:
    """The latest row of every key: `note` all rows in a first pass, then `take` each in a second."""

    def __init__(self) -> None:
        self._ages: dict[str, bytes] = {}

    def note(self, keys: Iterable[str], found: Iterable[bytes]) -> None:
        """Note rows of these keys with these ages."""
        latest = self._ages
        for key, age in zip(keys, found, strict=True):
            before = latest.get(key)
            if before is None or before < age:
                latest[key] = age

    def take(self, key: str, age: bytes) -> bool:
        """Whether this is the latest row of the key; True once for a key."""
        if self._ages.get(key) != age:
            return False
        del self._ages[key]
        return True

    def left(self) -> list[str]:
        """The keys whose latest row was not taken."""
        return list(self._ages)


class Once:
    """Lets each key through once, where nothing decides which of several rows is current."""

    def __init__(self, name: str, partitions: Sequence[str]) -> None:
        self._name = name
        self._where = f" (its partitions are by {', '.join(partitions)})" if partitions else ""
        self._seen: set[str] = set()

    def __call__(self, key: str) -> bool:
        """Note a key, and return True.

        Raises:
            ContractError: the key was here before.
        """
        if key in self._seen:
            raise ContractError(
                f"the offline table of {self._name} has several rows of {key!r}{self._where}, and no event time "
                "tells which is the latest: make the group with an event time, or keep one row a key; where it is "
                "online-enabled, RETRAINER_FEATURE_STORE__SNAPSHOT=online reads without the table"
            )
        self._seen.add(key)
        return True
