"""One comparison: a streamed snapshot against the hashes of the last one, with an event for every difference.

Changes are published and stored chunk by chunk while the snapshot is read. Deletes come last, after the snapshot has
ended well, because only then absent users are known. Memory holds one batch, one chunk, and one bit for each user.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import islice

from retrainer.bridge.errors import HeldBack
from retrainer.bridge.hashing import row_hashes
from retrainer.bridge.ports import RowStore
from retrainer.bridge.state import BridgeState
from schemas.events import Change, Group, Operation, value_columns

Publish = Callable[[Sequence[Change]], None]
"""Publishes events; returns when they are acknowledged."""


@dataclass(frozen=True, slots=True)
class Compared:
    """The counts of a comparison."""

    users: int
    """Or labels, in the snapshot."""
    upserted: int
    deleted: int
    seconds: float
    keyless: int = 0
    """Rows whose key names nobody, so that there is no event for them."""


class Comparison:
    """One run over a snapshot. After a failure its stored changes stay, and the next run goes on from there.

    Args:
        state: the hashes of the last comparison; this run updates them.
        group: the group with the columns to compare.
        publish: called with every chunk before it is stored; None to store without events.
        chunk: changes in one publication and in one transaction.
        step: called between two chunks, and may raise to end the comparison there.
    """

    def __init__(
        self, state: BridgeState, group: Group, publish: Publish | None, chunk: int, step: Callable[[], None]
    ) -> None:
        self._state = state
        self._columns = value_columns(group)
        self._publish = publish
        self._chunk = chunk
        self._step = step
        self._seen = _Bits()
        self._waiting: dict[str, bytes] = {}
        self._upserted = 0

    def run(self, store: RowStore, max_deleted: float) -> Compared:
        """Read a snapshot and publish what differs.

        Args:
            store: source of all rows.
            max_deleted: the largest plausible number of deletes.

        Raises:
            HeldBack: more users are absent. Changes are published and stored; no user is deleted.
        """
        began = time.monotonic()
        users = keyless = 0
        batches = store.snapshot(())
        try:
            for batch in batches:
                users += len(batch.keys)
                keyless += batch.keyless
                hashed = zip(batch.keys, row_hashes(self._columns, batch), strict=True)
                while part := list(islice(hashed, self._chunk)):
                    self._compare(part)
        finally:
            if isinstance(batches, Generator):
                batches.close()  # ends a stream that was not read to its end
        self._flush()
        deleted = self._delete_absent(max_deleted)
        return Compared(users, self._upserted, deleted, time.monotonic() - began, keyless)

    def _compare(self, rows: Sequence[tuple[str, bytes]]) -> None:
        self._step()
        known = self._state.find([key for key, _ in rows])
        for key, digest in rows:
            before = known.get(key)
            if before is not None and before.hash == digest:
                self._seen.add(before.id)
            else:
                self._waiting[key] = digest
                if len(self._waiting) >= self._chunk:
                    self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        self._tell(list(self._waiting), Operation.UPSERT)
        for number in self._state.store(self._waiting.items()):
            self._seen.add(number)
        self._upserted += len(self._waiting)
        self._waiting.clear()

    def _tell(self, keys: Sequence[str], operation: Operation) -> None:
        if self._publish is not None:
            self._state.mark(keys)
            self._publish([Change(key, operation) for key in keys])

    def _delete_absent(self, max_deleted: float) -> int:
        known = self._state.count()
        absent = known - self._seen.count
        if absent == 0:
            return 0
        if absent > max_deleted:
            raise HeldBack(f"{absent} of {known} known users are not in the snapshot")
        deleted = 0
        for page in self._state.everybody(self._chunk):
            self._step()
            if gone := [(number, key) for number, key in page if number not in self._seen]:
                self._tell([key for _, key in gone], Operation.DELETE)
                self._state.remove(number for number, _ in gone)
                deleted += len(gone)
        return deleted


class _Bits:
    """A set of small numbers in one bit each."""

    def __init__(self) -> None:
        self.count = 0
        self._bytes = bytearray()

    def add(self, number: int) -> None:
        at, bit = number >> 3, 1 << (number & 7)
        if at >= len(self._bytes):
            self._bytes.extend(bytes(at + 1 - len(self._bytes) + len(self._bytes) // 2))
        if not self._bytes[at] & bit:
            self._bytes[at] |= bit
            self.count += 1

    def __contains__(self, number: int) -> bool:
        at = number >> 3
        return at < len(self._bytes) and bool(self._bytes[at] & (1 << (number & 7)))
