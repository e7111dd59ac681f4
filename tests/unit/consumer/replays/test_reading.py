"""Reading a window from a broker that loses, cannot parse, or tells a wrong end; without a broker."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError, KafkaTimeoutError, OffsetOutOfRangeError

from consumer.deadline import Deadline, TimedOut
from consumer.decoding import decoder
from consumer.errors import ConsumerError
from consumer.kafka.ports import Polled
from consumer.kafka.records import Record, Unreadable
from consumer.positions import Partition
from consumer.replays.extent import Gone
from consumer.replays.found import Replayed
from consumer.replays.order import Order, new_head
from consumer.replays.reading import Reader
from consumer.replays.spool import Spool
from consumer.replays.stretch import Stretch
from consumer.replays.throttle import Throttle
from consumer.replays.window import FOR_EVER, Window
from schemas.events import encode
from tests.fake_kafka import FakeBroker, FakeConsumer, FakeLog
from tests.worlds import GROUP

P0, P1 = Partition("t", 0), Partition("t", 1)
MS = 1_795_000_000_000
ALL = Window()


def record(offset: int, partition: Partition = P0) -> Record:
    name = f"u{offset}" if partition == P0 else f"u{partition.number}.{offset}"
    return Record(offset, MS, 0, b"", encode(GROUP, name), [])


def broker(offsets: Iterable[int], ends: int, errors: Mapping[int, Exception] = {}) -> FakeBroker:
    """One partition, with records at these offsets. At some offsets a poll raises what stands there."""
    made = FakeBroker({"t": 1})
    made.logs[P0] = FakeLog(ends=ends, found=[record(at) for at in offsets], errors=dict(errors))
    return made


@contextmanager
def spooled(folder: Path, end: int, most: int = FOR_EVER) -> Iterator[Spool]:
    spool = Spool(folder / "read.db")
    if spool.head is None:
        head = new_head(Order(Window(), {}, relative=False), {}, 1.0)
        head.stretches = [Stretch("t", 0, begins=0, start=0, end=end, next=0, most=most)]
        spool.begin(head)
    yield spool
    spool.close()


def read(
    source: FakeBroker | FakeConsumer,
    folder: Path,
    told_end: int | None = None,
    *,
    at_once: int = 3,
    most: int = FOR_EVER,
    allow_missing: bool = False,
    corrupt: Mapping[int, str] = {},
    deadline: Deadline | None = None,
    window: Window = ALL,
    throttle: Throttle | None = None,
) -> Replayed:
    consumer = FakeConsumer(source) if isinstance(source, FakeBroker) else source
    consumer.most = at_once
    ends = consumer.broker.logs[P0].ends
    with spooled(folder, ends if told_end is None else told_end, most) as spool:
        return reader(window, allow_missing, corrupt, deadline, throttle).read(consumer, spool)


def reader(
    window: Window,
    allow_missing: bool = False,
    corrupt: Mapping[int, str] = {},
    deadline: Deadline | None = None,
    throttle: Throttle | None = None,
) -> Reader:
    return Reader(
        window,
        {"t": decoder("notification", GROUP)},
        lambda _, offset: corrupt.get(offset),
        deadline or Deadline(60),
        throttle or Throttle(None, 0.0),
        allow_missing,
        lambda _done, _total: None,
    )


@settings(deadline=None)
@given(st.sets(st.integers(0, 30)), st.integers(0, 31), st.integers(1, 7))
def test_every_record_is_read_once_wherever_the_broker_says_that_the_log_ends(
    tmp_path_factory: pytest.TempPathFactory, offsets: set[int], told_end: int, at_once: int
) -> None:
    """The first fetch tells where it ends in truth; holes are marks of transactions, or were compacted."""
    found = read(broker(sorted(offsets), 31), tmp_path_factory.mktemp("spool"), told_end, at_once=at_once)
    assert set(found.batch.users) == {f"u{at}" for at in offsets}
    assert all(change.events == 1 for change in found.batch.users.values())
    assert found.events == found.read == len(offsets)


def test_what_is_unreadable_in_its_place_ends_the_replay_unless_it_may_be_left_out(tmp_path: Path) -> None:
    """A batch that unpacks to too much, say; its letter is on record since the listener met it."""
    bomb = Unreadable(3, 6, MS, 0, "size", "it unpacks to more than 64 MiB")

    def bad() -> FakeBroker:
        made = broker([0, 1, 2, 6, 7], 8)
        made.logs[P0].found.insert(3, bomb)
        return made

    (tmp_path / "ends").mkdir()
    with pytest.raises(Gone, match=r"t\[0\]: offsets 3 to 6 are gone: unreadable: it unpacks .* --allow-missing"):
        read(bad(), tmp_path / "ends")
    found = read(bad(), tmp_path, allow_missing=True)
    assert sorted(found.batch.users) == ["u0", "u1", "u2", "u6", "u7"]
    assert found.ranges == {"t": {0: ((0, 3), (6, 8))}}
    assert found.batch.dead == []


def test_a_batch_of_which_no_time_is_known_may_have_been_in_the_window(tmp_path: Path) -> None:
    """Its checksum is wrong, so whatever it says of itself means nothing."""

    def bad() -> FakeBroker:
        made = broker([0, 1, 2, 6, 7], 8)
        made.logs[P0].found.insert(3, Unreadable(3, 6, -1, 0, "fetch", "the checksum of the batch is wrong"))
        return made

    (tmp_path / "ends").mkdir()
    with pytest.raises(Gone, match=r"t\[0\]: offsets 3 to 6 are gone: unreadable: the checksum"):
        read(bad(), tmp_path / "ends", window=Window(MS, MS + 1))
    found = read(bad(), tmp_path, window=Window(MS, MS + 1), allow_missing=True)
    assert found.ranges == {"t": {0: ((0, 3), (6, 8))}}
    assert [one.odd for one in found.stretches] == [0]


class InTurns(FakeConsumer):
    """A poll brings one record, of the partition whose turn it is."""

    turns: Iterator[Partition]

    def poll(self, timeout_ms: int, max_records: int | None = None) -> Polled:  # noqa: ARG002
        """See TopicReader."""
        partition = next(self.turns)
        found, self._at[partition] = self._fetch(partition, 1)
        return {partition: found}


def test_a_partition_is_not_taken_to_be_at_its_end_while_others_have_their_turn(tmp_path: Path) -> None:
    """Its end was told too early."""
    source = FakeBroker({"t": 2})
    for partition, ends in ((P0, 10), (P1, 3)):
        source.logs[partition] = FakeLog(ends=ends, found=[record(at, partition) for at in range(ends)])
    consumer = InTurns(source)
    consumer.turns = iter([P1, *[P0] * 9, P1, P1, P0])
    with closing(Spool(tmp_path / "read.db")) as spool:
        head = new_head(Order(Window(), {}, relative=False), {}, 1.0)
        head.stretches = [
            Stretch("t", number, begins=0, start=0, end=end, next=0, most=FOR_EVER) for number, end in ((0, 10), (1, 1))
        ]
        spool.begin(head)
        found = reader(Window()).read(consumer, spool)
    assert found.ranges == {"t": {0: ((0, 10),), 1: ((0, 3),)}}
    assert [one.withheld for one in found.stretches] == [0, 0]


class EveryOther(FakeConsumer):
    """Every other poll brings nothing."""

    empty = True

    def poll(self, timeout_ms: int, max_records: int | None = None) -> Polled:
        """See TopicReader."""
        self.empty = not self.empty
        return {} if self.empty else super().poll(timeout_ms, max_records)


def test_a_pause_that_was_asked_for_is_no_wait_for_the_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--max-rate 0.01` waits longer than `--timeout` after each record; the connection may have ended meanwhile."""
    now = [0.0]
    monkeypatch.setattr("consumer.replays.reading.time.sleep", lambda seconds: now.append(now[-1] + seconds))
    consumer = EveryOther(broker(range(3), 3))
    throttle = Throttle(0.01, time.monotonic())
    found = read(consumer, tmp_path, at_once=1, deadline=Deadline(60, lambda: now[-1]), throttle=throttle)
    assert found.events == 3


class Losing(FakeConsumer):
    """Retention takes what is before offset 6 when the client stands at 4."""

    def poll(self, timeout_ms: int, max_records: int | None = None) -> Polled:
        """See TopicReader."""
        if (at := self.position(P0)) is not None and at.offset == 4:
            self.broker.logs[P0].lose_before(6)
        return super().poll(timeout_ms, max_records)


def test_what_retention_takes_meanwhile_ends_the_replay_unless_it_may_be_left_out(tmp_path: Path) -> None:
    def losing() -> FakeConsumer:
        return Losing(broker(range(10), 10))

    (tmp_path / "ends").mkdir()
    with pytest.raises(Gone, match=r"t\[0\]: offsets 4 to 6 are gone: retention was faster .* --allow-missing"):
        read(losing(), tmp_path / "ends", at_once=4)
    found = read(losing(), tmp_path, at_once=4, allow_missing=True)
    assert sorted(found.batch.users) == ["u0", "u1", "u2", "u3", "u6", "u7", "u8", "u9"]
    assert "offsets 4 to 6 are gone" in found.missing[0]
    assert found.ranges == {"t": {0: ((0, 4), (6, 10))}}


def test_a_record_that_cannot_be_parsed_ends_the_replay_unless_it_may_be_left_out(tmp_path: Path) -> None:
    def bad() -> FakeBroker:
        return broker([0, 1, 2, 4, 5], 6, {3: CorruptRecordError("bad crc")})

    (tmp_path / "ends").mkdir()
    with pytest.raises(Gone, match=r"t\[0\]: offsets 3 to 4 are gone: unreadable: bad crc"):
        read(bad(), tmp_path / "ends", corrupt={3: "bad crc"})
    found = read(bad(), tmp_path, allow_missing=True, corrupt={3: "bad crc"})
    assert sorted(found.batch.users) == ["u0", "u1", "u2", "u4", "u5"]
    assert found.ranges == {"t": {0: ((0, 3), (4, 6))}}


def test_a_log_that_was_cut_off_is_told(tmp_path: Path) -> None:
    log = broker(range(4), 10, {4: OffsetOutOfRangeError({P0: 4})})
    with pytest.raises(ConsumerError, match=r"offset 4 is not there any more; the log was cut off"):
        read(log, tmp_path)


def test_what_was_read_before_an_error_is_not_read_again(tmp_path: Path) -> None:
    first = broker(range(10), 10, {6: KafkaTimeoutError("gone")})
    with pytest.raises(ConsumerError, match=r"cannot be read to its end: .*gone"):
        read(first, tmp_path)
    second = broker(range(10), 10)
    found = read(second, tmp_path)
    assert (found.events, len(found.batch.users)) == (10, 10)
    assert all(change.events == 1 for change in found.batch.users.values())


def test_a_broker_that_gives_nothing_ends_the_replay_with_the_reason(tmp_path: Path) -> None:
    silent, clock = broker([], 5), count()
    silent.away = True
    with pytest.raises(TimedOut, match=r"the broker did not answer \(connection refused\) for 9 s"):
        read(silent, tmp_path, deadline=Deadline(9, lambda: next(clock)))


def test_offsets_that_are_not_there_yet_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(Gone, match=r"t\[0\]: offset 19 is not there, it ends at 10"):
        read(broker(range(10), 10), tmp_path, most=20)
