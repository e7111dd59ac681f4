"""What the cycle of an earlier release had claimed, read again from the events that its version covers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from consumer.connection import connected
from consumer.deadline import Deadline
from consumer.decoding import decoders
from consumer.kafka.corrupt import why_corrupt
from consumer.kafka.once import consumer_for_once
from consumer.positions import Partition
from consumer.replays.extent import by_record_time, extents
from consumer.replays.order import Order, new_head
from consumer.replays.reading import Reader
from consumer.replays.spool import Spool
from consumer.replays.throttle import Throttle
from consumer.replays.window import Window
from consumer.settings import Settings
from schemas.cycle import Lineage
from schemas.jobs.reproduction import Claimed
from schemas.labels import pair_of
from schemas.spans import Span, joined


def claimed_by_events(settings: Settings, lineage: Lineage, deadline: Deadline, say: Callable[[str], None]) -> Claimed:
    """The users and labels that the events of a lineage name; the events have to be in the topic still.

    Args:
        settings: of the brokers and the groups.
        lineage: the offsets that the version covers, and those that were replayed.
        deadline: for the broker.
        say: gets a line about each wait.

    Raises:
        ConsumerError: part of the events is gone from the topic, or the broker does not answer.
    """
    settings = connected(settings, deadline=deadline)
    kafka, window = settings.kafka, Window(offsets=_offsets(lineage))
    order = Order(window, typed={}, relative=False)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Spool(Path(folder) / "read.db")) as spool,
        consumer_for_once(kafka, deadline, say) as consumer,
    ):
        reader = Reader(
            window,
            decoders(settings),
            lambda partition, offset: why_corrupt(kafka, partition, offset),
            deadline,
            Throttle(None, time.monotonic()),
            allow_missing=False,
            tick=lambda _done, _of: None,
        )
        head = new_head(order, {topic: consumer.topic_id(topic) for topic in kafka.topics}, time.time())
        head.stretches, missing = extents(consumer, kafka.topics, window, lambda: by_record_time(kafka), deadline)
        reader.miss(missing, head)
        spool.begin(head)
        batch = reader.read(consumer, spool).batch
    return Claimed(users=tuple(sorted(batch.users)), labels=tuple(sorted(map(pair_of, batch.labels))))


def _offsets(lineage: Lineage) -> dict[Partition, tuple[Span, ...]]:
    """What the version covers, live and replayed."""
    found: dict[Partition, list[Span]] = {}
    for topic, ranges in lineage.offsets.items():
        for number, span in ranges.items():
            found.setdefault(Partition(topic, number), []).append(span)
    for topic, partitions in lineage.replayed.items():
        for number, spans in partitions.items():
            found.setdefault(Partition(topic, number), []).extend(spans)
    return {partition: tuple(joined(spans)) for partition, spans in found.items()}
