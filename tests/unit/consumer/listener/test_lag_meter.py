"""The lag that is told is what the topic holds behind what is stored: also while nothing is fetched."""

from __future__ import annotations

from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from consumer.listener.assignment import Assignment
from consumer.listener.status import LagMeter

ONE, TWO = TopicPartition("t", 0), TopicPartition("t", 1)


class Broker:
    """As much of a consumer as is asked for how far a topic goes."""

    def __init__(self) -> None:
        self.fetched: dict[TopicPartition, int] = {}
        self.ends: dict[TopicPartition, int] = {}
        self.away = False
        self.asked = 0

    def highwater(self, tp: TopicPartition) -> int | None:
        return self.fetched.get(tp)

    def end_offsets(self, partitions: list[TopicPartition], timeout_ms: int) -> dict[TopicPartition, int]:
        self.asked += 1
        if self.away:
            raise KafkaTimeoutError(f"nobody in {timeout_ms} ms")
        return {tp: self.ends[tp] for tp in partitions}


class Room:
    """The parts together, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.broker = Broker()
        self.assignment = Assignment.__new__(Assignment)
        self.assignment.next, self.assignment.unplaced, self.assignment.ends = {}, set(), {}
        self.assignment._joined = False
        self.hearsay = LagMeter(self.assignment, lambda: self.now)

    def heard(self) -> dict[str, Any]:
        return self.hearsay.heard(self.broker)


def test_lag_counts_from_what_is_stored_to_the_later_of_what_was_fetched_and_what_was_asked() -> None:
    room = Room()
    room.assignment.next, room.assignment.ends = {ONE: 40, TWO: 10}, {ONE: 50, TWO: 10}
    room.broker.ends = {ONE: 60, TWO: 10}
    assert room.heard() == {"partitions": 2, "lag": 20, "caught_up": False}
    room.broker.fetched = {ONE: 70, TWO: 5}
    room.assignment.next[ONE] = 55
    assert room.heard() == {"partitions": 2, "lag": 15, "caught_up": True}


def test_while_the_ledger_refuses_the_broker_is_asked_and_the_lag_grows() -> None:
    room = Room()
    room.assignment.next, room.assignment.ends = {ONE: 40}, {ONE: 40}
    room.broker.ends = {ONE: 50}
    assert room.heard()["lag"] == 10
    room.assignment.next, room.assignment.unplaced = {}, {ONE}
    room.broker.ends = {ONE: 1050}
    assert room.heard()["lag"] == 10  # it was asked just now
    room.now += 2
    assert room.heard() == {"partitions": 0, "lag": 1010, "caught_up": False}


def test_what_is_not_known_is_not_told() -> None:
    room = Room()
    assert room.heard()["lag"] is None  # it has not joined
    room.assignment._joined = True
    assert room.heard() == {"partitions": 0, "lag": 0, "caught_up": True}  # there is nothing for it to read
    room.assignment.unplaced, room.broker.ends = {ONE}, {ONE: 9}
    assert room.heard()["lag"] is None  # the ledger has not been asked where it stands
    room.assignment.next, room.assignment.unplaced, room.assignment.ends = {ONE: 3, TWO: 3}, set(), {ONE: 9, TWO: 9}
    room.broker.away = True
    assert room.heard()["lag"] is None  # nobody knows where the second ends


def test_a_broker_that_is_away_is_not_asked_in_every_turn() -> None:
    room = Room()
    room.assignment.next, room.assignment.ends, room.broker.away = {ONE: 3}, {ONE: 3}, True
    room.broker.fetched = {ONE: 8}
    for _ in range(90):
        room.now += 0.1
        assert room.heard()["lag"] is None
    assert room.broker.asked == 1


def test_what_a_broker_said_before_it_went_away_is_no_lag() -> None:
    room = Room()
    room.assignment.next, room.assignment.ends, room.broker.ends = {ONE: 3}, {ONE: 3}, {ONE: 3}
    room.broker.fetched = {ONE: 3}
    assert (room.heard()["lag"], room.hearsay.lost) == (0, False)
    room.broker.away = True
    room.now += 2
    assert (room.heard()["lag"], room.hearsay.lost) == (None, True)
    room.now += 9
    assert room.heard()["lag"] is None  # it is not asked yet, and a fetch has brought nothing
    room.broker.fetched = {ONE: 9}  # it was only slow to say how far it goes
    assert (room.heard()["lag"], room.hearsay.lost) == (6, False)
    room.now += 1
    assert room.heard()["lag"] is None  # asked again, in vain
    room.broker.away, room.broker.ends = False, {ONE: 10}
    room.now += 10
    assert (room.heard()["lag"], room.hearsay.lost) == (7, False)


def test_who_has_no_partitions_has_lost_nobody() -> None:
    room = Room()
    room.assignment.next, room.assignment.ends, room.broker.away = {ONE: 3}, {ONE: 3}, True
    assert (room.heard()["lag"], room.hearsay.lost) == (None, True)
    room.assignment.next, room.assignment._joined = {}, True
    assert (room.heard()["lag"], room.hearsay.lost) == (0, False)


def test_what_another_instance_has_is_not_counted() -> None:
    room = Room()
    room.assignment.next, room.assignment.ends = {ONE: 3, TWO: 0}, {ONE: 3, TWO: 3}
    room.broker.ends = {ONE: 3, TWO: 100}
    assert room.heard()["lag"] == 100
    del room.assignment.next[TWO]
    assert room.heard() == {"partitions": 1, "lag": 0, "caught_up": True}
