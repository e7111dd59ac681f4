"""Record batches as brokers have kept them since Kafka 0.11 (magic 2): their header, and the way to their records.

Any producer may have chosen these bytes, and a broker has looked at few of them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from kafka.record.util import calc_crc32c

from consumer.kafka.fields import Damaged
from consumer.kafka.records import Unpacked
from consumer.kafka.unpacking import MOST_UNPACKED, unpacked

_HEADER = struct.Struct(">qiibIhiqqqhii")
_CRC_FROM = 21
"""The checksum is over what follows it; offset, length and epoch before it are the broker's."""
_CODEC, _STAMPED, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """What the header of a batch says. Before `check` any of it may be wrong."""

    wire: memoryview
    base_offset: int
    leader_epoch: int
    crc: int
    attributes: int
    last_offset: int
    """Also where compaction has removed the record at that offset."""
    first_timestamp: int
    max_timestamp: int
    producer_id: int
    count: int

    @classmethod
    def of(cls, wire: memoryview) -> Self:
        """The header of a batch, which `wire` holds from its first byte to its last.

        Raises:
            Damaged: the bytes are fewer than a header has.
        """
        if len(wire) < _HEADER.size:
            raise Damaged(f"a batch of {len(wire)} bytes is said to be there, and its header alone has {_HEADER.size}")
        base, _, epoch, _, crc, attributes, delta, first, latest, producer, _, _, count = _HEADER.unpack_from(wire)
        return cls(wire, base, epoch, crc, attributes, base + delta, first, latest, producer, count)

    def check(self) -> None:
        """Check that the batch is what its sender made, and has room for its records among the offsets.

        Raises:
            Damaged: it is not, or has not.
        """
        if calc_crc32c(self.wire[_CRC_FROM:]) != self.crc:
            raise Damaged("the checksum of the batch is wrong")
        if not 0 <= self.base_offset <= self.last_offset or self.count < 0:
            raise Damaged(
                f"the batch is said to have {self.count} records, from offset {self.base_offset} to {self.last_offset}"
            )

    @property
    def transactional(self) -> bool:
        """Whether its records hold only where their transaction was committed."""
        return bool(self.attributes & _TRANSACTIONAL)

    @property
    def control(self) -> bool:
        """Whether the batch is a mark that the broker wrote, such as the end of a transaction, and holds no record."""
        return bool(self.attributes & _CONTROL)

    def opened(self, most: int = MOST_UNPACKED) -> Unpacked:
        """Its records.

        Raises:
            TooLarge: they are compressed, and more than `most` bytes.
            Damaged: they cannot be unpacked.
        """
        return Unpacked(
            unpacked(self.attributes & _CODEC, self.wire[_HEADER.size :], most),
            base_offset=self.base_offset,
            last_offset=self.last_offset,
            first_timestamp=self.first_timestamp,
            max_timestamp=self.max_timestamp,
            timestamp=self.max_timestamp if self.attributes & _STAMPED else None,
            leader_epoch=self.leader_epoch,
            left=self.count,
            before=self.base_offset - 1,
        )
