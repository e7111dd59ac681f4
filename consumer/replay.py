"""Replay: the events of a bounded window of time, read a second time by a consumer of its own.

It has no group, so it cannot move the live offsets. The window is turned into offsets once, at the start, end first, so
that what arrives meanwhile stays out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError

from consumer.decoding import Decoders, to_batch
from consumer.errors import ConsumerError
from consumer.ledger.batch import Batch, KeyChange, Partition
from schemas.cycle import OffsetRanges

_POLL_MS = 500
_STALLED_AFTER = 60.0

Ranges = dict[TopicPartition, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a window held: its offsets, how many events, and the users and labels that they named."""

    ranges: OffsetRanges
    events: int
    batch: Batch


def find_window(consumer: Any, topics: Collection[str], start: datetime, end: datetime) -> Ranges:
    """The offsets, [from, to) by partition, of the records stamped from `start` to before `end`, where there are any.

    Raises:
        ConsumerError: the broker does not tell.
    """
    partitions = [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]
    try:
        ends = consumer.end_offsets(partitions)
        stop = consumer.offsets_for_times(dict.fromkeys(partitions, _milliseconds(end)))
        begin = consumer.offsets_for_times(dict.fromkeys(partitions, _milliseconds(start)))
    except KafkaError as error:
        raise ConsumerError(f"cannot find offsets of {', '.join(topics)} by time: {error}") from error
    ranges = {}
    for partition in partitions:
        upper = min(_offset(stop[partition], ends[partition]), ends[partition])
        lower = _offset(begin[partition], upper)
        if lower < upper:
            ranges[partition] = (lower, upper)
    return ranges


def read_window(consumer: Any, ranges: Ranges, decoders: Decoders, tick: Callable[[int], None]) -> Replayed:
    """Read the window whole; `tick` hears how many offsets of it are behind us.

    Raises:
        ConsumerError: part of the window is gone, or nothing came for a minute.
    """
    consumer.assign(list(ranges))
    for partition, (start, _) in ranges.items():
        consumer.seek(partition, start)
    whole = Batch(received_at=time.time())
    events = 0
    moved_at = time.monotonic()
    while any(consumer.position(partition) < end for partition, (_, end) in ranges.items()):
        try:
            polled = consumer.poll(timeout_ms=_POLL_MS)
        except KafkaError as error:
            raise ConsumerError(f"the window cannot be read to its end: {error}") from error
        records = _inside(polled, ranges)
        part = to_batch(decoders, records, dict.fromkeys(records, 0), whole.received_at)
        events += sum(len(found) for found in records.values())
        _merge(whole, part)
        if polled:
            moved_at = time.monotonic()
            tick(sum(min(consumer.position(tp), end) - start for tp, (start, end) in ranges.items()))
        elif time.monotonic() - moved_at > _STALLED_AFTER:
            raise ConsumerError(f"no records came for {_STALLED_AFTER:.0f} s; is the broker well?")
    return Replayed(_named(ranges), events, whole)


def _offset(found: Any, otherwise: int) -> int:
    """The offset that a broker found for a time, or the other one where it has nothing as late as that."""
    return otherwise if found is None or found.timestamp < 0 else int(found.offset)


def _inside(polled: Mapping[TopicPartition, list[Any]], ranges: Ranges) -> dict[Partition, list[Any]]:
    inside = {}
    for tp, records in polled.items():
        if kept := [record for record in records if record.offset < ranges[tp][1]]:
            inside[Partition(tp.topic, tp.partition)] = kept
    return inside


def _merge(whole: Batch, part: Batch) -> None:
    whole.dead += part.dead
    whole.ignored += part.ignored
    _add(whole.users, part.users)
    _add(whole.labels, part.labels)


def _add(whole: dict[str, KeyChange], part: Mapping[str, KeyChange]) -> None:
    for key, change in part.items():
        if (known := whole.get(key)) is None:
            whole[key] = change
        else:
            known.operation, known.last = change.operation, change.last
            known.last_event_at = max(known.last_event_at, change.last_event_at)
            known.events += change.events


def _named(ranges: Ranges) -> OffsetRanges:
    named: OffsetRanges = {}
    for tp, window in ranges.items():
        named.setdefault(tp.topic, {})[tp.partition] = window
    return named


def _milliseconds(when: datetime) -> int:
    return max(0, int(when.timestamp() * 1000))
