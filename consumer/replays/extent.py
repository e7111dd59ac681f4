"""The extent of a replay: where each partition begins and ends now, and which part of the window is gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from kafka.errors import KafkaError

from consumer.configuration.kafka import KafkaSettings
from consumer.deadline import Deadline
from consumer.errors import ConsumerError
from consumer.kafka.clients import make_admin
from consumer.kafka.options import admin_options
from consumer.kafka.ports import TopicReader
from consumer.positions import Partition
from consumer.replays.stretch import Stretch
from consumer.replays.window import FOR_EVER, Window, is_sensible, moment_of

_LOOK_BACK = 1000
"""Records that are read before the offset that the index of times gives, to see whether their times can be meant."""
_TURN_MS = 200
_SHORT = 3.0  # seconds; a partition may hold nothing but marks of transactions


class Gone(ConsumerError):  # noqa: N818
    """Part of the window is not in the topic any more, or never was."""


@dataclass(frozen=True, slots=True)
class Missing:
    """Offsets that cannot be read again, and why, for people."""

    partition: Partition
    start: int
    end: int
    why: str

    def __str__(self) -> str:
        return f"{self.partition}: offsets {self.start} to {self.end} are gone: {self.why}"


def by_record_time(settings: KafkaSettings) -> bool:
    """Whether the broker finds offsets by the times of records, so that all records before them are surely earlier.

    Apache Kafka does so: it gives the first record of that time or later, whatever the order of times. It is known by a
    feature that no other broker has. Others find by the time of arrival, or search as if times only rose.
    """
    try:
        with closing(make_admin(settings, admin_options(settings))) as admin:
            return "metadata.version" in admin.describe_features()
    except KafkaError:
        return False


def extents(
    consumer: TopicReader, topics: Sequence[str], window: Window, indexed: Callable[[], bool], deadline: Deadline
) -> tuple[list[Stretch], list[Missing]]:
    """The part of each partition that has to be read, and the parts of the window that are gone.

    Args:
        consumer: has no partition yet.
        topics: to read.
        window: which of their records.
        indexed: whether offsets may be found by time.
        deadline: for the broker.

    Raises:
        Gone: offsets that were asked for are not there yet, or their partition is not.
        ConsumerError: the broker does not answer.
    """
    partitions = [
        Partition(topic, number) for topic in topics for number in sorted(consumer.partitions_for_topic(topic))
    ]
    try:
        ends = consumer.end_offsets(partitions)
        begins = consumer.beginning_offsets(partitions)
        stretches = _asked(window, {one: (begins[one], ends[one]) for one in partitions})
        if window.start is not None and window.start > 0 and indexed():
            found = consumer.offsets_for_times({one.partition: window.start for one in stretches})
            for one in stretches:
                at = found[one.partition]
                _skip(one, one.end if at is None else at)
        missing = list(_missing(consumer, stretches, window, deadline))
    except KafkaError as error:
        reason = str(error) or type(error).__name__
        raise ConsumerError(f"cannot find out what {' and '.join(topics)} holds: {reason}") from error
    return stretches, missing


def _asked(window: Window, logs: Mapping[Partition, tuple[int, int]]) -> list[Stretch]:
    """What to read, by offsets alone."""
    if window.offsets is None:
        return [_stretch(partition, begins, begins, ends, FOR_EVER) for partition, (begins, ends) in logs.items()]
    wrong, stretches = [], []
    for partition, spans in window.offsets.items():
        if partition not in logs:
            known = sorted(one.number for one in logs if one.topic == partition.topic)
            wrong.append(f"{partition} is not there; the topic has the partitions {known[0]} to {known[-1]}")
            continue
        begins, ends = logs[partition]
        first, most = spans[0][0], spans[-1][1]
        start = max(begins, min(first, ends))
        stretches.append(_stretch(partition, begins, start, max(start, min(most, ends)), most))
    if wrong:
        raise Gone("; ".join(wrong))
    return stretches


def _stretch(partition: Partition, begins: int, start: int, end: int, most: int) -> Stretch:
    return Stretch(*partition, begins=begins, start=start, end=end, next=start, most=most)


def _skip(stretch: Stretch, first: int) -> None:
    """All records before `first` are earlier than the window."""
    stretch.start = stretch.next = max(stretch.start, min(first, stretch.end) - _LOOK_BACK)


def _missing(consumer: TopicReader, stretches: Sequence[Stretch], window: Window, deadline: Deadline) -> list[Missing]:
    """What retention has removed of the window.

    For a window of offsets that is known. For a window of time a partition counts that begins later than at offset 0,
    and with a record of the window or a later one: earlier records may have been in the window.
    """
    cut = [one for one in stretches if one.begins > 0 and one.start == one.begins]
    if window.offsets is not None:
        found = []
        for one in cut:
            gone = [(start, min(end, one.begins)) for start, end in window.offsets[one.partition] if start < one.begins]
            found += [Missing(one.partition, start, end, f"it begins at {one.begins} now") for start, end in gone]
        return found
    firsts = _first_times(consumer, cut, deadline)
    found = []
    for one in cut:
        at = firsts.get(one.partition)
        if at is not None and (window.start is None or at < window.start):
            continue
        since = "and holds nothing now" if at is None else f"with a record of {moment_of(at)}"
        why = f"it begins at {one.begins} now, {since}; what was before may have been in the window"
        found.append(Missing(one.partition, 0, one.begins, why))
    return found


def _first_times(consumer: TopicReader, stretches: Sequence[Stretch], deadline: Deadline) -> dict[Partition, int]:
    """The time of the first record of each partition that has one that can be meant."""
    starts = {one.partition: one.start for one in stretches if one.start < one.end}
    if not starts:
        return {}
    consumer.assign(list(starts))
    for partition, start in starts.items():
        consumer.seek(partition, start)
    found: dict[Partition, int] = {}
    waited = dict.fromkeys(starts)
    began = time.monotonic()
    while waited and (time.monotonic() - began < _SHORT or not any(map(consumer.highwater, waited))):
        deadline.check(f"{' and '.join(map(str, waited))} could not be read")
        for partition, records in consumer.poll(timeout_ms=_TURN_MS, max_records=_LOOK_BACK).items():
            deadline.moved()
            times = [record.timestamp for record in records if is_sensible(record.timestamp, time.time())]
            if times and partition in waited:
                del waited[partition]
                found[partition] = times[0]
    return found
