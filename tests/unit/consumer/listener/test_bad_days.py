"""What the parts of the listener make of a bad day, without a broker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

import pytest
from kafka import TopicPartition
from kafka.errors import (
    CorruptRecordError,
    KafkaError,
    LogTruncationError,
    NoOffsetForPartitionError,
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    UnknownBrokerIdError,
)
from kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata

from consumer.clock import Clock
from consumer.configuration.kafka import KafkaSettings
from consumer.errors import OutsideGroup
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener import assignment as assignment_module
from consumer.listener import gaps as gaps_module
from consumer.listener import polling
from consumer.listener.assignment import Assignment, partition_of
from consumer.listener.gaps import Gaps
from consumer.listener.listener import Listener
from consumer.listener.polling import Polling
from consumer.listener.rebalance import Rebalance, RebalanceNotes
from consumer.settings import Settings
from tests.integration.listening import gap_letters
from tests.worlds import GROUP

T0, T1 = TopicPartition("t", 0), TopicPartition("t", 1)


class Broker:
    """A consumer whose log begins and ends somewhere."""

    def __init__(self, begins: int, ends: int, assigned: set[TopicPartition] | None = None) -> None:
        self.begins, self.ends = begins, ends
        self.assigned = assigned or set()
        self.paused: set[TopicPartition] = set()
        self.error: Exception | None = None
        self.drains_to: int | None = None
        self.at: dict[TopicPartition, int] = {}
        self._subscription = self
        self.state = MemberState.STABLE

    def group_metadata(self) -> ConsumerGroupMetadata:
        return ConsumerGroupMetadata("g", state=self.state)

    def beginning_offsets(self, partitions: list[TopicPartition], **_: int) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.begins)

    def end_offsets(self, partitions: list[TopicPartition], **_: int) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, self.ends)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {tp.partition for tp in self.assigned if tp.topic == topic}

    def assignment(self) -> set[TopicPartition]:
        return set(self.assigned)

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused -= set(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.at[partition] = offset

    def position(self, partition: TopicPartition, **_: int) -> OffsetAndMetadata | None:
        return OffsetAndMetadata(self.at[partition], "", -1) if partition in self.at else None

    def highwater(self, _: TopicPartition) -> int | None:
        return None

    def commit_async(self, *_: object, **__: object) -> None:
        pass

    def poll(self, **_: int) -> dict[TopicPartition, list[Any]]:
        if self.drains_to is not None:
            self.at |= dict.fromkeys(self.assigned - self.paused, self.drains_to)
        if self.error is not None:
            raise self.error
        return {}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def found_id(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The topic's id as the brokers tell it when they are asked again: none, or the last in this list."""
    ids: list[str] = []
    monkeypatch.setattr(gaps_module, "refresh_metadata", lambda *_: None)
    monkeypatch.setattr(assignment_module, "topic_id", lambda *_: ids[-1] if ids else None)
    return ids


def gaps_at(ledger: Ledger, offset: int) -> tuple[Gaps, Assignment]:
    """A partition that is placed at an offset."""
    ledger.intake.start_at({partition_of(T0): offset}, 0.0)
    assignment = Assignment(KafkaSettings(topic="t"), ledger.intake, Clock(lambda: 1.0, lambda: 1.0))
    assignment.next[T0] = offset
    return Gaps(KafkaSettings(topic="t"), ledger.intake, assignment, lambda: 1.0, lambda: None), assignment


CUT = OffsetAndMetadata(80, "", 1)


@pytest.mark.parametrize(
    ("lost", "cut", "log", "to", "says"),
    [
        ({T0: 100}, {}, (120, 150), 120, "offsets 100 to 119 are gone"),
        ({T0: 100}, {}, (0, 60), 0, "cut off before offset 100: it ends at 60"),
        ({}, {T0: CUT}, (0, 90), 80, "offsets 80 to 99 were read"),
        ({}, {T0: CUT}, (90, 95), 90, "offsets 90 to 99 were read"),
        ({}, {T0: None}, (0, 300), 0, "nobody knows where"),
        ({T0: 100}, {}, (0, 150), 100, None),
        ({}, {T0: OffsetAndMetadata(102, "", 1)}, (0, 150), 100, None),  # only markers were cut
        ({T1: 100}, {}, (120, 150), 100, None),  # another's
    ],
)
def test_where_reading_goes_on_and_what_is_on_record(
    ledger: Ledger, lost: Any, cut: Any, log: tuple[int, int], to: int, says: str | None
) -> None:
    gaps, assignment = gaps_at(ledger, 100)
    broker = Broker(*log, {T0})
    gaps.lost(lost)
    gaps.cut(cut)
    gaps.cross(broker)
    assert ledger.intake.positions("t") == {partition_of(T0): to}
    letters = gap_letters(ledger)
    assert gaps.crossed == len(letters) == (says is not None)
    assert all(offset == 100 and str(says) in reason and "retrain in full" in reason for offset, reason in letters)
    assert (assignment.next, assignment.unplaced, broker.paused) == ({}, {T0}, {T0})


@pytest.mark.parametrize("cut", [False, True])
def test_a_topic_made_anew_is_not_taken_for_one_that_was_cut_off(
    ledger: Ledger, found_id: list[str], cut: bool
) -> None:
    gaps, assignment = gaps_at(ledger, 100)
    assignment.topic_ids = {"t": "old"}
    found_id.append("new")
    gaps.cut({T0: CUT}) if cut else gaps.lost({T0: 100})
    gaps.cross(Broker(0, 80, {T0}))
    assert ledger.intake.marks("t") == {partition_of(T0): (0, "new", None)}
    ((_, reason),) = gap_letters(ledger)
    assert "deleted and made anew" in reason


def test_of_two_topics_the_one_that_was_made_anew_is_read_anew(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    users, labels = TopicPartition("t", 0), TopicPartition("l", 0)
    ledger.intake.start_at({partition_of(users): 5}, 0.0, "t-1")
    ledger.intake.start_at({partition_of(labels): 7}, 0.0, "l-1")
    ids = {"t": "t-1", "l": "l-1"}
    monkeypatch.setattr(assignment_module, "topic_id", lambda _, topic: ids.get(topic))
    assignment = Assignment(KafkaSettings(topic="t", label_topic="l"), ledger.intake, Clock(lambda: 1.0, lambda: 1.0))
    broker = Broker(0, 50, {users, labels})
    assignment.note([Rebalance("assigned", frozenset({users, labels}))])
    assignment.place(broker)
    assert (assignment.next, assignment.unplaced) == ({users: 5, labels: 7}, set())
    ids["l"] = "l-2"
    assignment.look_for_new_topic(broker)
    assert assignment.anew == {labels: 7}
    assignment.rewind(broker)
    assignment._retry_at = 0.0
    assignment.place(broker)
    assert (assignment.next, assignment.unplaced, assignment.anew) == ({users: 5}, {labels}, {labels: 7})


@pytest.mark.parametrize(("start", "begins"), [("earliest", 0), ("latest", 50)])
def test_a_topic_of_labels_begins_whole_where_that_of_users_is_known(
    ledger: Ledger, start: Literal["earliest", "latest"], begins: int
) -> None:
    users, more = TopicPartition("t", 0), TopicPartition("t", 1)
    labels = TopicPartition("l", 0)
    ledger.intake.start_at({partition_of(users): 5}, 0.0)
    assignment = Assignment(
        KafkaSettings(topic="t", label_topic="l", start=start), ledger.intake, Clock(lambda: 1.0, lambda: 1.0)
    )
    assignment.note([Rebalance("assigned", frozenset({users, more, labels}))])
    assignment.place(Broker(0, 50, {users, more, labels}))
    assert assignment.next == {
        users: 5,
        more: 0,
        labels: begins,
    }  # a partition that is new in a known topic loses nothing


def test_a_gap_is_not_crossed_where_somebody_else_has_moved_the_ledger(ledger: Ledger) -> None:
    gaps, assignment = gaps_at(ledger, 100)
    assignment.next[T0] = 99  # a step behind
    gaps.lost({T0: 99})
    gaps.cross(Broker(120, 150, {T0}))
    assert ledger.intake.positions("t") == {partition_of(T0): 100}
    assert (gaps.crossed, gap_letters(ledger), assignment.unplaced) == (0, [], {T0})


def test_kept_partitions_are_noted_with_those_that_came_and_those_that_went() -> None:
    broker = Broker(0, 0, {T0, T1})
    notes = RebalanceNotes(broker)
    notes.on_partitions_assigned({T1})  # cooperative: T0 is kept
    assert notes.drain() == [Rebalance("assigned", frozenset({T0, T1}))]
    assert broker.paused == {T0, T1}
    broker.assigned = {T0}
    notes.on_partitions_revoked({T1})
    assert notes.drain() == [Rebalance("gone", frozenset({T1})), Rebalance("assigned", frozenset({T0}))]
    notes.on_partitions_revoked({T0})  # eager: it is still in the assignment
    assert notes.pending
    assert notes.drain() == [Rebalance("gone", frozenset({T0}))]
    assert not notes.pending


def test_polls_that_fail_for_long_are_left_to_another_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "RETRY_AFTER", 0.0)
    now = 0.0
    poller = Polling(cast("Gaps", None), lambda: now, threading.Event(), 75.0)
    broker = Broker(0, 0)
    broker.error = NotLeaderForPartitionError("no")
    for _ in range(polling._GIVEN_UP_AFTER):
        assert poller.poll(broker) is None
    assert "no" in str(poller.trouble)
    with pytest.raises(KafkaError):
        poller.poll(broker)
    assert [poller.pause() for _ in range(5)] == [1.0, 2.0, 4.0, 8.0, 10.0]
    poller.begin()
    assert poller.trouble is None
    broker.error = None
    assert poller.poll(broker) == {}
    now = 61.0
    assert poller.pause() == 1.0


def test_a_client_that_does_not_get_into_its_group_is_given_up() -> None:
    now = 1000.0
    poller = Polling(cast("Gaps", None), lambda: now, threading.Event(), 75.0)
    broker = Broker(0, 0)
    poller.begin()
    broker.state = MemberState.REBALANCING
    now = 1070.0
    assert poller.poll(broker) == {}
    broker.state = MemberState.STABLE
    assert poller.poll(broker) == {}  # from now on
    broker.state = MemberState.UNJOINED
    now = 1144.0
    assert poller.poll(broker) == {}
    now = 1146.0
    with pytest.raises(OutsideGroup, match="76 s"):
        poller.poll(broker)
    poller.begin()
    assert poller.poll(broker) == {}


@pytest.mark.parametrize(
    "error",
    [
        UnknownBrokerIdError("3"),
        NoOffsetForPartitionError(T1),
        OffsetOutOfRangeError({T1: 5}),
        CorruptRecordError("crc"),
        LogTruncationError({T1: None}),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_poll_took_and_did_not_give_is_read_again(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: KafkaError
) -> None:
    monkeypatch.setattr(polling, "RETRY_AFTER", 0.0)
    monkeypatch.setattr(gaps_module, "why_corrupt", lambda *_: None)
    now = 1.0
    ledger.intake.start_at({partition_of(T0): 0}, now)
    settings = Settings(state_dir=tmp_path, feature_group=GROUP, kafka=KafkaSettings(topic="t"))
    listener = Listener(settings, ledger.intake, Clock(lambda: now, lambda: now), lambda: None)
    broker = Broker(0, 100, {T0})
    notes = RebalanceNotes(broker)
    notes.on_partitions_assigned({T0})
    listener._turn(broker, notes)
    assert (broker.at, broker.paused) == ({T0: 0}, set())
    broker.error, broker.drains_to = error, 100
    listener._turn(broker, notes)
    broker.error, broker.drains_to = None, None
    now = 10.0
    listener._turn(broker, notes)
    assert (broker.at, broker.paused) == ({T0: 0}, set())
    assert ledger.intake.positions("t") == {partition_of(T0): 0}
