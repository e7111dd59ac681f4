"""What a fetch brought of one partition, read within bounds inside kafka-python's consumer.

Version 3.0 of kafka-python, as it is, unpacks a batch whole, whatever memory that takes, and raises where it cannot
parse a record: it does not say which, gives none of the later records, and its poll may never return once it has met
the same record twice. Our reader never raises: it gives an `Unreadable` in the place of what cannot be had, in order
with the records, and goes on after that.
"""

from __future__ import annotations

import struct
import sys
from typing import Any

from kafka.consumer.fetcher import Fetcher
from kafka.protocol.consumer import IsolationLevel

from consumer.kafka.batches import RecordBatch
from consumer.kafka.fields import Damaged, TooLarge
from consumer.kafka.old_batches import OldBatch
from consumer.kafka.records import Found, Stage, Unpacked, Unreadable
from consumer.kafka.unpacking import MOST_UNPACKED

_POLLED = 32 * 2**20
"""Bytes of records, unpacked, after which a poll has brought enough. One batch more may be added."""

_NO_TIME = -1
_PLACE = struct.Struct(">qi")
_MAGIC_AT = 16
_FEWEST = 14
"""Bytes after offset and length, of the shortest batch that there is: an empty message of magic 0."""


class Portion(Fetcher.PartitionRecords):  # type: ignore[misc]
    """One partition's part of a fetch: batches that are opened one after the other, as far as records are asked for."""

    next_fetch_offset: int

    def __init__(self, fetch_offset: int, tp: Any, records: Any, **options: Any) -> None:
        super().__init__(fetch_offset, tp, records, **options)
        self._data = memoryview(records._buffer)  # noqa: SLF001  (kafka-python's batches do not give it)
        self._at = 0
        self._following: int = fetch_offset
        self._open: Unpacked | OldBatch | None = None

    def take(self, n: int | None = None) -> list[Found]:
        """The next records, or why there are none; at most `n`, fewer where they are large."""
        found: list[Found] = []
        most, until = sys.maxsize if n is None else n, self.bytes_read + _POLLED
        while len(found) < most and self.bytes_read < until:
            if self._open is None and not self._begin(found):
                self.drain()
                break
            if self._open is not None:
                self._read(found, most - len(found), until - self.bytes_read)
        self.records_read += len(found)
        return found

    def _read(self, found: list[Found], most: int, room: int) -> None:
        """Add records of the open batch."""
        assert self._open is not None
        read, size = self._open.read(most, room)
        self.bytes_read += size
        if read and read[0].offset < self.next_fetch_offset:  # a fetch from within a batch brings all of it
            read = [_from(self.next_fetch_offset, one) for one in read if _after(one) > self.fetch_offset]
        found += read
        if self._open.left == 0:
            self._open = None
            self.next_fetch_offset = max(self._following, self.next_fetch_offset)
        elif read:
            self.next_fetch_offset = _after(read[-1])

    def _begin(self, found: list[Found]) -> bool:
        """Open the next batch, or add why it cannot be had; False where there is none."""
        data, at = self._data, self._at
        if len(data) - at < _PLACE.size:
            return False
        base, length = _PLACE.unpack_from(data, at)
        end = at + _PLACE.size + length
        if length < _FEWEST:
            self._at = len(data)  # nobody knows where the next batch begins
            self._lose(found, self.next_fetch_offset + 1, f"a batch of {length} bytes is said to be there")
            return True
        if end > len(data):
            return False  # cut off, as the last batch of a fetch may be
        self._at = end
        wire = data[at:end]
        magic = wire[_MAGIC_AT]
        try:
            if magic == 2:
                self._begin_batch(found, RecordBatch.of(wire))
            elif magic < 2:
                self._begin_old(found, wire, base)
            else:
                raise Damaged(f"the batch is of format {magic}, which did not exist when this was made")
        except Damaged as error:
            self._lose(found, self._next_place(), str(error))
        return True

    def _begin_old(self, found: list[Found], wire: memoryview, base: int) -> None:
        try:
            self._open = OldBatch(wire)
            self._following = self._open.last_offset + 1
        except TooLarge as error:
            self.bytes_read += MOST_UNPACKED
            self._lose(found, base + 1, str(error), "size")

    def _begin_batch(self, found: list[Found], batch: RecordBatch) -> None:
        try:
            batch.check()
        except Damaged as error:
            self._lose(found, self._next_place(batch), str(error))
            return
        self.leader_epoch, self._following = batch.leader_epoch, batch.last_offset + 1
        if self._passed_over(batch):
            self.next_fetch_offset = max(self._following, self.next_fetch_offset)
            return
        try:
            self._open = batch.opened()
        except (Damaged, TooLarge) as error:
            self.bytes_read += (
                MOST_UNPACKED  # so much may have been unpacked in vain, and a fetch may hold many such batches
            )
            stage: Stage = "size" if isinstance(error, TooLarge) else "fetch"
            self._lose(found, self._following, str(error), stage, batch.max_timestamp)

    def _passed_over(self, batch: RecordBatch) -> bool:
        """Whether a batch is a broker's mark, or of a transaction that was aborted."""
        if batch.producer_id < 0 or self.isolation_level != IsolationLevel.READ_COMMITTED:
            return batch.control
        self._consume_aborted_transactions_up_to(batch.last_offset)
        if batch.control:
            self.aborted_producer_ids.discard(batch.producer_id)  # its transaction ends here, either way
            return True
        return batch.transactional and batch.producer_id in self.aborted_producer_ids

    def _next_place(self, unsound: RecordBatch | None = None) -> int:
        """Where to go on after a batch of which nothing is sure: where the next begins, or its own header says.

        Where neither can be, one offset later: the broker gives the batch again, as long as that offset lies in it.
        """
        here: int = self.next_fetch_offset
        if len(self._data) - self._at >= _PLACE.size:
            base, _ = _PLACE.unpack_from(self._data, self._at)
            if base > here:
                return int(base)
        if unsound is not None and here <= unsound.last_offset < unsound.base_offset + len(unsound.wire):
            return unsound.last_offset + 1
        return here + 1

    def _lose(
        self, found: list[Found], following: int, why: str, stage: Stage = "fetch", timestamp: int = _NO_TIME
    ) -> None:
        here = self.next_fetch_offset
        following = max(following, here + 1)
        found.append(Unreadable(here, following, timestamp, self.leader_epoch, stage, why))
        self.next_fetch_offset = following


class _Fetcher(Fetcher):  # type: ignore[misc]
    """Ends a poll once it has brought many bytes; the next poll goes on from there."""

    PartitionRecords = Portion
    _polled = 0

    def _append(self, drained: dict[Any, list[Found]], part: Any, max_records: int, update_offsets: bool) -> int:
        if not drained:
            self._polled = 0
        before = part.bytes_read
        count: int = super()._append(drained, part, max_records, update_offsets)
        self._polled += part.bytes_read - before
        return max_records if self._polled >= _POLLED else count


def bound(fetcher: Any) -> None:
    """Have a consumer's fetcher give lists of `Record` and `Unreadable`, and never more than memory can take."""
    fetcher.__class__ = _Fetcher


def _after(one: Found) -> int:
    return one.following if isinstance(one, Unreadable) else one.offset + 1


def _from(offset: int, one: Found) -> Found:
    """Cut an `Unreadable` so that it begins where the read records end; an old message does not say where it begins."""
    if not isinstance(one, Unreadable):
        return one
    return one._replace(offset=max(one.offset, min(offset, one.following - 1)))
