"""Reading a window from a broker that loses, cannot parse, or tells a wrong end; without a broker."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.errors import CorruptRecordError, KafkaTimeoutError, OffsetOutOfRangeError

from consumer.deadline import Deadline, TimedOut
from consumer.decoding import decoder
from consumer.errors import ConsumerError
from consumer.kafka.records import Unreadable
from consumer.replays.extent import Gone
from consumer.replays.found import Replayed
from consumer.replays.order import Order, new_head
from consumer.replays.reading import Reader
from consumer.replays.spool import Spool
from consumer.replays.stretch import Stretch
from consumer.replays.throttle import Throttle
from consumer.replays.window import FOR_EVER, Window
from schemas.events import encode
from tests.worlds import GROUP

T0 = TopicPartition("t", 0)
MS = 1_795_000_000_000
ALL = Window()


class Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    headers: tuple[()] = ()


class Log:
    """A partition behind a client, as far as a reader uses one. At some offsets a poll raises what stands there."""

    def __init__(self, offsets: list[int], end: int, at_once: int = 3, raises: Mapping[int, Exception] = {}) -> None:
        self.records: list[Record | Unreadable] = [Record(at, MS, b"", encode(GROUP, f"u{at}")) for at in offsets]
        self.end, self.begin, self.at, self.polls = end, 0, 0, 0
        self._at_once, self._raises = at_once, dict(raises)
        self._subscription = SimpleNamespace(position=lambda _: SimpleNamespace(offset=self.at))

    def assign(self, _: object) -> None:
        """Whatever."""

    def pause(self, _: object) -> None:
        """Whatever."""

    def seek(self, _: object, offset: int) -> None:
        self.at = offset

    def highwater(self, _: object) -> int | None:
        return self.end if self.polls else None

    def beginning_offsets(self, _: object) -> dict[TopicPartition, int]:
        return {T0: self.begin}

    def poll(self, **_: object) -> dict[TopicPartition, list[Record | Unreadable]]:
        self.polls += 1
        ahead = [record for record in self.records if record.offset >= self.at][: self._at_once]
        trouble = next((at for at in sorted(self._raises) if at >= self.at), None)
        if trouble is not None:
            ahead = [record for record in ahead if record.offset < trouble]
            if not ahead:
                raise self._raises.pop(trouble)
        self.at = ahead[-1].offset + 1 if ahead else self.end
        return {T0: ahead} if ahead else {}


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
    log: Log,
    folder: Path,
    told_end: int | None = None,
    *,
    most: int = FOR_EVER,
    allow_missing: bool = False,
    corrupt: Mapping[int, str] = {},
    deadline: Deadline | None = None,
    window: Window = ALL,
    throttle: Throttle | None = None,
) -> Replayed:
    with spooled(folder, log.end if told_end is None else told_end, most) as spool:
        return reader(window, allow_missing, corrupt, deadline, throttle).read(log, spool)


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
        lambda _: "connection refused",
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
    log = Log(sorted(offsets), 31, at_once)
    found = read(log, tmp_path_factory.mktemp("spool"), told_end)
    assert set(found.batch.users) == {f"u{at}" for at in offsets}
    assert all(change.events == 1 for change in found.batch.users.values())
    assert found.events == found.read == len(offsets)


def test_what_is_unreadable_in_its_place_ends_the_replay_unless_it_may_be_left_out(tmp_path: Path) -> None:
    """A batch that unpacks to too much, say; its letter is on record since the listener met it."""
    bomb = Unreadable(3, 6, MS, 0, "size", "it unpacks to more than 64 MiB")

    def log() -> Log:
        made = Log([0, 1, 2, 6, 7], 8)
        made.records.insert(3, bomb)
        return made

    (tmp_path / "ends").mkdir()
    with pytest.raises(Gone, match=r"t\[0\]: offsets 3 to 6 are gone: unreadable: it unpacks .* --allow-missing"):
        read(log(), tmp_path / "ends")
    found = read(log(), tmp_path, allow_missing=True)
    assert sorted(found.batch.users) == ["u0", "u1", "u2", "u6", "u7"]
    assert found.ranges == {"t": {0: ((0, 3), (6, 8))}}
    assert found.batch.dead == []


def test_a_batch_of_which_no_time_is_known_may_have_been_in_the_window(tmp_path: Path) -> None:
    """Its checksum is wrong, so whatever it says of itself means nothing."""

    def log() -> Log:
        made = Log([0, 1, 2, 6, 7], 8)
        made.records.insert(3, Unreadable(3, 6, -1, 0, "fetch", "the checksum of the batch is wrong"))
        return made

    (tmp_path / "ends").mkdir()
    with pytest.raises(Gone, match=r"t\[0\]: offsets 3 to 6 are gone: unreadable: the checksum"):
        read(log(), tmp_path / "ends", window=Window(MS, MS + 1))
    found = read(log(), tmp_path, window=Window(MS, MS + 1), allow_missing=True)
    assert found.ranges == {"t": {0: ((0, 3), (6, 8))}}
    assert [one.odd for one in found.stretches] == [0]


def test_a_partition_is_not_taken_to_be_at_its_end_while_others_have_their_turn(tmp_path: Path) -> None:
    """Its end was told too early, and a poll brings one record, of whichever partition it is."""
    t1 = TopicPartition("t", 1)
    turns = [(t1, 0), *((T0, at) for at in range(9)), (t1, 1), (t1, 2), (T0, 9)]
    ends, at, polls = {T0: 10, t1: 3}, {T0: 0, t1: 0}, iter(turns)

    def poll(**_: object) -> dict[TopicPartition, list[Record]]:
        tp, offset = next(polls)
        at[tp] = offset + 1
        return {tp: [Record(offset, MS, b"", encode(GROUP, f"u{tp.partition}.{offset}"))]}

    log = Log([], 0)
    log.poll, log.highwater = poll, ends.__getitem__  # type: ignore[method-assign,assignment]
    log._subscription = SimpleNamespace(position=lambda tp: SimpleNamespace(offset=at[tp]))
    with closing(Spool(tmp_path / "read.db")) as spool:
        head = new_head(Order(Window(), {}, relative=False), {}, 1.0)
        head.stretches = [
            Stretch("t", number, begins=0, start=0, end=end, next=0, most=FOR_EVER) for number, end in ((0, 10), (1, 1))
        ]
        spool.begin(head)
        found = reader(Window()).read(log, spool)
    assert found.ranges == {"t": {0: ((0, 10),), 1: ((0, 3),)}}
    assert [one.behind for one in found.stretches] == [0, 0]


def test_a_pause_that_was_asked_for_is_no_wait_for_the_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--max-rate 0.01` waits longer than `--timeout` after each record; the connection may have ended meanwhile."""
    now = [0.0]
    monkeypatch.setattr("consumer.replays.reading.time.sleep", lambda seconds: now.append(now[-1] + seconds))
    log, empty = Log(list(range(3)), 3, at_once=1), [True]
    whole = log.poll

    def poll(**options: object) -> dict[TopicPartition, list[Record | Unreadable]]:
        empty.append(not empty[-1])
        return {} if empty[-1] else whole(**options)

    log.poll = poll  # type: ignore[method-assign]
    found = read(log, tmp_path, deadline=Deadline(60, lambda: now[-1]), throttle=Throttle(0.01, time.monotonic()))
    assert found.events == 3


def test_what_retention_takes_meanwhile_ends_the_replay_unless_it_may_be_left_out(tmp_path: Path) -> None:
    def log() -> Log:
        made = Log(list(range(10)), 10, raises={4: OffsetOutOfRangeError({T0: 4})})
        made.begin = 6
        return made

    (tmp_path / "ends").mkdir()
    with pytest.raises(Gone, match=r"t\[0\]: offsets 4 to 6 are gone: retention was faster .* --allow-missing"):
        read(log(), tmp_path / "ends")
    found = read(log(), tmp_path, allow_missing=True)
    assert sorted(found.batch.users) == ["u0", "u1", "u2", "u3", "u6", "u7", "u8", "u9"]
    assert "offsets 4 to 6 are gone" in found.missing[0]
    assert found.ranges == {"t": {0: ((0, 4), (6, 10))}}


def test_a_record_that_cannot_be_parsed_ends_the_replay_unless_it_may_be_left_out(tmp_path: Path) -> None:
    def log() -> Log:
        return Log([0, 1, 2, 4, 5], 6, raises={3: CorruptRecordError("bad crc")})

    (tmp_path / "ends").mkdir()
    with pytest.raises(Gone, match=r"t\[0\]: offsets 3 to 4 are gone: unreadable: bad crc"):
        read(log(), tmp_path / "ends", corrupt={3: "bad crc"})
    found = read(log(), tmp_path, allow_missing=True, corrupt={3: "bad crc"})
    assert sorted(found.batch.users) == ["u0", "u1", "u2", "u4", "u5"]
    assert found.ranges == {"t": {0: ((0, 3), (4, 6))}}


def test_a_log_that_was_cut_off_is_told(tmp_path: Path) -> None:
    log = Log(list(range(4)), 10, raises={4: OffsetOutOfRangeError({T0: 4})})
    with pytest.raises(ConsumerError, match=r"offset 4 is not there any more; the log was cut off"):
        read(log, tmp_path)


def test_what_was_read_before_an_error_is_not_read_again(tmp_path: Path) -> None:
    first = Log(list(range(10)), 10, raises={6: KafkaTimeoutError("gone")})
    with pytest.raises(ConsumerError, match=r"cannot be read to its end: .*gone"):
        read(first, tmp_path)
    second = Log(list(range(10)), 10)
    found = read(second, tmp_path)
    assert (found.events, len(found.batch.users)) == (10, 10)
    assert all(change.events == 1 for change in found.batch.users.values())


def test_a_broker_that_gives_nothing_ends_the_replay_with_the_reason(tmp_path: Path) -> None:
    log, now = Log([], 5), [0.0]

    def nothing(**_: object) -> dict[TopicPartition, list[Record | Unreadable]]:
        now.append(now[-1] + 1)
        return {}

    log.poll = nothing  # type: ignore[method-assign]
    with pytest.raises(TimedOut, match=r"the broker did not answer \(connection refused\) for 9 s"):
        read(log, tmp_path, deadline=Deadline(9, lambda: now[-1]))


def test_offsets_that_are_not_there_yet_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(Gone, match=r"t\[0\]: offset 19 is not there, it ends at 10"):
        read(Log(list(range(10)), 10), tmp_path, most=20)
