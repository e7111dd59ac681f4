"""Reading a window to its end. The consumer has no group, so it cannot move the live offsets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from kafka.errors import CorruptRecordError, KafkaError, OffsetOutOfRangeError

from consumer.deadline import Deadline
from consumer.decoding import Decoders, named, to_batch
from consumer.errors import ConsumerError
from consumer.kafka.ports import Polled, TopicReader
from consumer.kafka.records import Found, Unreadable
from consumer.ledger.batch import Batch
from consumer.positions import Partition
from consumer.replays.extent import Gone, Missing
from consumer.replays.found import Replayed, merge
from consumer.replays.spool import Head, Spool
from consumer.replays.stretch import Stretch
from consumer.replays.throttle import Throttle
from consumer.replays.window import FOR_EVER, Window

_POLL_MS = 500
_QUIET_POLLS = 3  # that bring nothing at all, before missing records are taken not to be there
_KEEP_EVERY = 20_000  # records
_KEEP_AFTER = 5.0  # seconds
_WAY_OUT = "--allow-missing goes on without it, on record; `retrainer train --full` reads every user again"


@dataclass(frozen=True, slots=True)
class Reader:
    """How a window is read.

    Args:
        window: which records.
        decoders: decode the records of each topic.
        why_corrupt: why the record at an offset cannot be parsed; None where it can be.
        deadline: for the broker.
        throttle: how fast.
        allow_missing: whether to go on without what is gone.
        tick: gets the number of offsets that are done, and of all.
    """

    window: Window
    decoders: Decoders
    why_corrupt: Callable[[Partition, int], str | None]
    deadline: Deadline
    throttle: Throttle
    allow_missing: bool
    tick: Callable[[int, int], None]

    def read(self, consumer: TopicReader, spool: Spool) -> Replayed:
        """Read what the replay in the spool has not read yet, and keep it there.

        Raises:
            Gone: part of the window is gone, and nobody said to go on without it.
            TimedOut: nothing came for too long.
            ConsumerError: the window cannot be read to its end.
        """
        assert spool.head is not None
        head = spool.head
        whole = Batch(received_at=time.time())
        for kept in spool.batches():
            merge(whole, kept)
        self._read_on(consumer, head, spool, whole)
        if beyond := [one for one in head.stretches if one.next < one.most < FOR_EVER]:
            ends = (f"{one.partition}: offset {one.most - 1} is not there, it ends at {one.next}" for one in beyond)
            raise Gone(f"{'; '.join(ends)}. Ask for fewer, or for FROM- to read to the end")
        return Replayed(head.stretches, head.missing, whole)

    def _read_on(self, consumer: TopicReader, head: Head, spool: Spool, whole: Batch) -> None:
        left = {one.partition: one for one in head.stretches if not one.done}
        self._stand(consumer, left)
        part, kept_at, unkept = Batch(received_at=whole.received_at), time.monotonic(), 0
        quiet = dict.fromkeys(left, 0)
        while left:
            polled = self._poll(consumer, left, head)
            for partition, stretch in left.items():
                if stretch.high is None:
                    stretch.high = consumer.highwater(partition)
            came = self._take(polled, left, part, head)
            unkept += came
            ended = []
            for partition, stretch in left.items():
                quiet[partition] = 0 if self._moved(consumer, partition, stretch) or polled else quiet[partition] + 1
                if _has_ended(stretch, quiet[partition]):
                    ended.append(partition)
            for partition in ended:
                consumer.pause(partition)
                _end(left.pop(partition))
            if unkept >= _KEEP_EVERY or time.monotonic() - kept_at > _KEEP_AFTER or not left:
                spool.keep(part, time.time())
                merge(whole, part)
                part, kept_at, unkept = Batch(received_at=whole.received_at), time.monotonic(), 0
            self._tell(head)
            if left:
                self._check(consumer, left)
            if (pause := self.throttle.pause(came, time.monotonic())) > 0.0:
                time.sleep(pause)
                self.deadline.moved()  # the pause was no wait for the broker

    def _poll(self, consumer: TopicReader, left: Mapping[Partition, Stretch], head: Head) -> Polled:
        try:
            polled = consumer.poll(timeout_ms=_POLL_MS, max_records=self.throttle.at_once)
        except OffsetOutOfRangeError as error:
            self._pass_over_gone(consumer, left, error.args[0], head)
            return {}
        except CorruptRecordError:
            self._pass_over_corrupt(consumer, left, head)
            return {}
        except KafkaError as error:
            raise ConsumerError(
                f"the window cannot be read to its end: {str(error) or type(error).__name__}"
            ) from error
        return polled

    def _take(self, polled: Polled, left: Mapping[Partition, Stretch], part: Batch, head: Head) -> int:
        taken: dict[Partition, list[Found]] = {}
        came, now = 0, time.time()
        for partition, records in polled.items():
            if (stretch := left.get(partition)) is None:
                continue
            came += len(records)
            self.miss(self._unreadable(stretch, records), head)
            if found := stretch.sift(records, partial(self._holds, stretch.partition), now):
                taken[stretch.partition] = found
        if taken:
            merge(part, to_batch(self.decoders, taken, dict.fromkeys(taken, 0), part.received_at))
        return came

    def _unreadable(self, stretch: Stretch, records: Sequence[Found]) -> list[Missing]:
        """Places of the window where no record can be had. Nobody knows which user it would have named."""
        return [
            Missing(stretch.partition, one.offset, one.following, f"unreadable: {one.why}")
            for one in records
            if isinstance(one, Unreadable)
            and stretch.next <= one.offset < stretch.limit
            and self.window.may_hold(stretch.partition, one.offset, one.following, one.timestamp)
        ]

    def _holds(self, partition: Partition, record: Found) -> bool:
        if isinstance(record, Unreadable) or not self.window.holds(partition, record.offset, record.timestamp):
            return False
        if self.window.users is None:
            return True
        try:
            event = self.decoders[partition.topic](record.key, record.value, named(record.headers))
        except Exception:  # noqa: BLE001  (whatever it is, it names none of the users)
            return False
        return self.window.concerns(event)

    def _moved(self, consumer: TopicReader, partition: Partition, stretch: Stretch) -> bool:
        """Note where the client stands; return whether it has moved on."""
        at = consumer.position(partition)
        if at is None or at.offset <= stretch.next:
            return False
        stretch.next = at.offset
        self.deadline.moved()
        return True

    def _check(self, consumer: TopicReader, left: Mapping[Partition, Stretch]) -> None:
        where = " and ".join(f"{one.partition}@{one.next}" for one in left.values())
        away = consumer.why_away()
        self.deadline.check(f"the broker did not answer ({away})" if away else f"nothing came of {where}")

    def _stand(self, consumer: TopicReader, left: Mapping[Partition, Stretch]) -> None:
        consumer.assign(list(left))
        for partition, stretch in left.items():
            consumer.seek(partition, stretch.next)

    def _pass_over_gone(
        self, consumer: TopicReader, left: Mapping[Partition, Stretch], wanted: Mapping[Partition, int], head: Head
    ) -> None:
        begins = consumer.beginning_offsets(list(wanted))
        lost = []
        for partition in wanted:
            stretch = left[partition]
            if begins[partition] <= stretch.next:
                raise ConsumerError(
                    f"{stretch.partition}: offset {stretch.next} is not there any more; the log was cut off, or the "
                    "topic recreated: begin again with --restart"
                )
            why = f"retention was faster than we, it begins at {begins[partition]} now"
            lost.append(Missing(stretch.partition, stretch.next, min(begins[partition], stretch.limit), why))
        self.miss(lost, head)
        for partition in wanted:
            left[partition].leave_out(begins[partition])
        self._stand(consumer, left)

    def _pass_over_corrupt(self, consumer: TopicReader, left: Mapping[Partition, Stretch], head: Head) -> None:
        for partition, stretch in left.items():
            self.deadline.check(f"{stretch.partition} could not be read")
            if (reason := self.why_corrupt(partition, stretch.next)) is not None:
                self.miss([Missing(stretch.partition, stretch.next, stretch.next + 1, f"unreadable: {reason}")], head)
                stretch.leave_out(stretch.next + 1)
        self._stand(consumer, left)

    def miss(self, missing: Sequence[Missing], head: Head) -> None:
        """Go on without these, on record, or end.

        Raises:
            Gone: nobody said to go on.
        """
        if missing and not self.allow_missing:
            raise Gone("; ".join(map(str, missing)) + f". {_WAY_OUT}")
        head.missing.extend(map(str, missing))

    def _tell(self, head: Head) -> None:
        done = sum(min(one.next, one.limit) - one.start for one in head.stretches)
        self.tick(max(0, done), sum(one.limit - one.start for one in head.stretches))


def _has_ended(stretch: Stretch, quiet: int) -> bool:
    """Whether a partition was read to where it ended when the replay began.

    The broker may tell an end that is too early: Tansu tells where its last batch begins. So the end of the first fetch
    counts, where that is later. Records before that end which do not come belong to a transaction that is still open.
    """
    if stretch.high is not None and stretch.next >= stretch.limit:
        return True
    return stretch.next >= stretch.end and quiet >= _QUIET_POLLS


def _end(stretch: Stretch) -> None:
    stretch.done = True
    if stretch.high is not None and stretch.next < stretch.limit:
        stretch.withheld = stretch.limit - stretch.next
