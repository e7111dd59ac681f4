"""While anything is held nothing is fetched, also from partitions that come meanwhile; afterwards all goes on."""

from __future__ import annotations

from kafka import TopicPartition

from consumer.clock import Clock
from consumer.configuration.kafka import KafkaSettings
from consumer.ledger.ledger import open_ledger
from consumer.listener.assignment import Assignment
from consumer.listener.pauses import Pauses

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


class Client:
    """The flags of a Kafka consumer: a partition that is not assigned has none."""

    def __init__(self, *assigned: TopicPartition) -> None:
        self.flags = dict.fromkeys(assigned, False)

    def paused(self) -> set[TopicPartition]:
        return {partition for partition, flag in self.flags.items() if flag}

    def pause(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self.flags[partition]
            self.flags[partition] = True

    def resume(self, *partitions: TopicPartition) -> None:
        for partition in partitions:
            self.flags[partition]
            self.flags[partition] = False


def placed(*partitions: TopicPartition) -> Assignment:
    assignment = Assignment(KafkaSettings(), open_ledger("sqlite://").intake, Clock())
    assignment.next = dict.fromkeys(partitions, 0)
    return assignment


def held(client: Client, pauses: Pauses) -> tuple[set[TopicPartition], str | None]:
    return client.paused(), pauses.reason


def test_while_one_reason_is_held_all_is_paused_and_the_first_is_shown() -> None:
    client, assignment, pauses = Client(A, B), placed(A, B), Pauses()
    assert held(client, pauses) == (set(), None)
    pauses.hold("full")
    pauses.hold("flood")
    pauses.hold("full")
    pauses.apply(client, assignment)
    assert held(client, pauses) == ({A, B}, "full")
    pauses.release("full")
    pauses.apply(client, assignment)
    assert held(client, pauses) == ({A, B}, "flood")
    pauses.release("flood")
    pauses.release("never held")
    pauses.apply(client, assignment)
    assert held(client, pauses) == (set(), None)


def test_a_partition_that_is_placed_meanwhile_is_paused_too() -> None:
    client, assignment, pauses = Client(A, B), placed(A), Pauses()
    pauses.hold("flood")
    pauses.apply(client, assignment)
    assert client.paused() == {A}
    assignment.next[B] = 0
    pauses.apply(client, assignment)
    assert client.paused() == {A, B}


def test_unplaced_partitions_stay_paused_when_the_reason_is_gone() -> None:
    client, assignment, pauses = Client(A, B), placed(A), Pauses()
    client.pause(B)
    pauses.hold("flood")
    pauses.apply(client, assignment)
    pauses.release("flood")
    pauses.apply(client, assignment)
    assert client.paused() == {B}


def test_pauses_that_others_made_are_left_alone_where_nothing_was_held() -> None:
    client, pauses = Client(A), Pauses()
    client.pause(A)
    pauses.apply(client, placed(A))
    assert client.paused() == {A}


def test_a_partition_that_went_away_ends_nothing() -> None:
    client, assignment, pauses = Client(B), placed(A, B), Pauses()
    pauses.hold("flood")
    pauses.apply(client, assignment)
    assert client.paused() == {B}
    pauses.release("flood")
    pauses.apply(client, assignment)
    assert client.paused() == set()
