"""Reading a window to its end, by a consumer that has no group and so cannot move the live offsets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from kafka import TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, OffsetOutOfRangeError

from consumer.deadline import Deadline
from consumer.decoding import Decoders, named, to_batch
from consumer.errors import ConsumerError
from consumer.kafka.client import position as position_of
from consumer.kafka.records import Unreadable
from consumer.ledger.batch import Batch, Partition
from consumer.replays.extent import Gone, Missing
from consumer.replays.found import Replayed, merge
from consumer.replays.spool import Head, Spool
from consumer.replays.stretch import Stretch
from consumer.replays.throttle import Throttle
from consumer.replays.window import FOR_EVER, Window

_POLL_MS = 500
_QUIET_POLLS = 3  # that bring nothing of any partition, before what does not come is taken not to be there
_KEEP_EVERY = 20_000  # records
_KEEP_AFTER = 5.0  # seconds
_WAY_OUT = "--allow-missing goes on without it, on record; `retrainer train --full` reads every user again"


@dataclass(frozen=True, slots=True)
class Reader:
    """How a window is read.

    Args:
        window: what of the records.
        decoders: what is asked about each record, by its topic.
        why_away: why there is no connection to a broker; None where nobody knows.
        why_corrupt: why the record at an offset cannot be parsed; None where it can be.
        deadline: for the broker.
        throttle: how fast.
        allow_missing: whether to go on without what is gone.
        tick: hears how many offsets are behind us, and how many there are.
    """

    window: Window
    decoders: Decoders
    why_away: Callable[[Any], str | None]
    why_corrupt: Callable[[TopicPartition, int], str | None]
    deadline: Deadline
    throttle: Throttle
    allow_missing: bool
    tick: Callable[[int, int], None]

    def read(self, consumer: Any, spool: Spool) -> Replayed:
        """Read what the spool's replay has not read yet, and keep it there.

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
            told = (f"{one.partition}: offset {one.most - 1} is not there, it ends at {one.next}" for one in beyond)
            raise Gone(f"{'; '.join(told)}. Ask for fewer, or for FROM- to read to the end")
        return Replayed(head.stretches, head.missing, whole)

    def _read_on(self, consumer: Any, head: Head, spool: Spool, whole: Batch) -> None:
        left = {TopicPartition(*one.partition): one for one in head.stretches if not one.done}
        self._stand(consumer, left)
        part, kept_at, unkept = Batch(received_at=whole.received_at), time.monotonic(), 0
        quiet = dict.fromkeys(left, 0)
        while left:
            polled = self._poll(consumer, left, head)
            for tp, stretch in left.items():
                if stretch.high is None:
                    stretch.high = consumer.highwater(tp)
            came = self._take(polled, left, part, head)
            unkept += came
            ended = []
            for tp, stretch in left.items():
                quiet[tp] = 0 if self._moved(consumer, tp, stretch) or polled else quiet[tp] + 1
                if _has_ended(stretch, quiet[tp]):
                    ended.append(tp)
            for tp in ended:
                consumer.pause(tp)
                _end(left.pop(tp))
            if unkept >= _KEEP_EVERY or time.monotonic() - kept_at > _KEEP_AFTER or not left:
                spool.keep(part, time.time())
                merge(whole, part)
                part, kept_at, unkept = Batch(received_at=whole.received_at), time.monotonic(), 0
            self._tell(head)
            if left:
                self._check(consumer, left)
            if (pause := self.throttle.pause(came, time.monotonic())) > 0.0:
                time.sleep(pause)
                self.deadline.moved()  # nobody was waited for

    def _poll(self, consumer: Any, left: Mapping[TopicPartition, Stretch], head: Head) -> dict[TopicPartition, Any]:
        try:
            polled: dict[TopicPartition, Any] = consumer.poll(timeout_ms=_POLL_MS, max_records=self.throttle.at_once)
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

    def _take(
        self, polled: Mapping[TopicPartition, Any], left: Mapping[TopicPartition, Stretch], part: Batch, head: Head
    ) -> int:
        taken: dict[Partition, list[Any]] = {}
        came, now = 0, time.time()
        for tp, records in polled.items():
            if (stretch := left.get(tp)) is None:
                continue
            came += len(records)
            self.miss(self._unreadable(stretch, records), head)
            if found := stretch.sift(records, partial(self._holds, stretch.partition), now):
                taken[stretch.partition] = found
        if taken:
            merge(part, to_batch(self.decoders, taken, dict.fromkeys(taken, 0), part.received_at))
        return came

    def _unreadable(self, stretch: Stretch, records: Sequence[Any]) -> list[Missing]:
        """Places of the window where no record can be had; whom it would have named, nobody knows."""
        return [
            Missing(stretch.partition, one.offset, one.following, f"unreadable: {one.why}")
            for one in records
            if isinstance(one, Unreadable)
            and stretch.next <= one.offset < stretch.limit
            and self.window.may_hold(stretch.partition, one.offset, one.following, one.timestamp)
        ]

    def _holds(self, partition: Partition, record: Any) -> bool:
        if isinstance(record, Unreadable) or not self.window.holds(partition, record.offset, record.timestamp):
            return False
        if self.window.users is None:
            return True
        try:
            event = self.decoders[partition.topic](record.key, record.value, named(record.headers))
        except Exception:  # noqa: BLE001  (whatever it is, it names none of the users)
            return False
        return self.window.concerns(event)

    def _moved(self, consumer: Any, tp: TopicPartition, stretch: Stretch) -> bool:
        """Note where the client stands, and whether that is farther than before."""
        at = position_of(consumer, tp)
        if at is None or at.offset <= stretch.next:
            return False
        stretch.next = at.offset
        self.deadline.moved()
        return True

    def _check(self, consumer: Any, left: Mapping[TopicPartition, Stretch]) -> None:
        where = " and ".join(f"{one.partition}@{one.next}" for one in left.values())
        away = self.why_away(consumer)
        self.deadline.check(f"the broker did not answer ({away})" if away else f"nothing came of {where}")

    def _stand(self, consumer: Any, left: Mapping[TopicPartition, Stretch]) -> None:
        consumer.assign(list(left))
        for tp, stretch in left.items():
            consumer.seek(tp, stretch.next)

    def _pass_over_gone(
        self, consumer: Any, left: Mapping[TopicPartition, Stretch], wanted: Mapping[TopicPartition, int], head: Head
    ) -> None:
        begins = consumer.beginning_offsets(list(wanted))
        lost = []
        for tp in wanted:
            stretch = left[tp]
            if begins[tp] <= stretch.next:
                raise ConsumerError(
                    f"{stretch.partition}: offset {stretch.next} is not there any more; the log was cut off, or the "
                    "topic recreated: begin again with --restart"
                )
            why = f"retention was faster than we, it begins at {begins[tp]} now"
            lost.append(Missing(stretch.partition, stretch.next, min(begins[tp], stretch.limit), why))
        self.miss(lost, head)
        for tp in wanted:
            left[tp].leave_out(begins[tp])
        self._stand(consumer, left)

    def _pass_over_corrupt(self, consumer: Any, left: Mapping[TopicPartition, Stretch], head: Head) -> None:
        for tp, stretch in left.items():
            self.deadline.check(f"{stretch.partition} could not be read")
            if (reason := self.why_corrupt(tp, stretch.next)) is not None:
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

    Its end as the broker told it may be too early: Tansu tells where its last batch begins. So the end of the first
    fetch counts where there is more behind. What is behind and does not come belongs to a transaction that is open.
    """
    if stretch.high is not None and stretch.next >= stretch.limit:
        return True
    return stretch.next >= stretch.end and quiet >= _QUIET_POLLS


def _end(stretch: Stretch) -> None:
    stretch.done = True
    if stretch.high is not None and stretch.next < stretch.limit:
        stretch.behind = stretch.limit - stretch.next
