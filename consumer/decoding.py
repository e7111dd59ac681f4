"""From raw records to a batch for the ledger. Whatever a record holds, it is stored, ignored or a dead letter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from consumer.ledger.intake import Batch, DeadLetter, Partition, Position
from schemas.events import BadEvent, Change, Ignored, decode
from schemas.features import FeatureGroup


class Record(Protocol):
    """The part of a Kafka record that is used. `timestamp` is in milliseconds, negative where there is none."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """When it was produced, or appended, as the topic is configured."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value; None for a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Its headers, in order."""


def to_batch(
    group: FeatureGroup,
    records: Mapping[Partition, Sequence[Record]],
    expected: Mapping[Partition, int],
    now: float,
) -> Batch:
    """Everything that one poll brought.

    Args:
        group: the feature group that is listened to.
        records: in the order of their offsets, by partition.
        expected: the ledger's next offset of each of these partitions; records before it are stored already.
        now: when they arrived, seconds since the epoch.
    """
    batch = Batch(received_at=now)
    for partition, fetched in records.items():
        fresh = [record for record in fetched if record.offset >= expected[partition]]
        if fresh:
            batch.progress[partition] = (expected[partition], fresh[-1].offset + 1)
            batch.events[partition] = len(fresh)
            _decode_all(group, partition, fresh, batch)
    return batch


def _decode_all(group: FeatureGroup, partition: Partition, records: Iterable[Record], batch: Batch) -> None:
    for record in records:
        position = Position(partition.topic, partition.number, record.offset)
        event_at = record.timestamp / 1000 if record.timestamp > 0 else batch.received_at
        headers = {name: value for name, value in record.headers if value is not None}
        try:
            event = decode(group, record.key, record.value, headers)
        except Exception as error:  # noqa: BLE001  (one record must never stop a partition)
            reason = str(error) if isinstance(error, BadEvent) else f"unexpected {type(error).__name__}: {error}"
            batch.dead.append(DeadLetter(position, event_at, record.key, record.value, headers, "decode", reason))
            continue
        match event:
            case Change(key=user, operation=operation):
                batch.add(user, operation, position, event_at)
            case Ignored():
                batch.ignored[partition] = batch.ignored.get(partition, 0) + 1
