"""Assigned partitions are read from the ledger's offsets, whatever their topics have become."""

from __future__ import annotations

from typing import Literal

import pytest

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.ports import ClientPosition
from consumer.ledger.ledger import Ledger
from consumer.positions import Partition
from tests.unit.consumer.listener.assigned import P0, P1, Assigned, broker_with, placed_at

USERS, MORE, LABELS = P0, P1, Partition("l", 0)


def test_of_two_topics_only_the_recreated_one_is_read_again(ledger: Ledger) -> None:
    broker = broker_with({USERS: (0, 50), LABELS: (0, 50)})
    ledger.intake.start_at({USERS: 5}, 0.0, broker.ids["t"])
    ledger.intake.start_at({LABELS: 7}, 0.0, broker.ids["l"])
    found = Assigned(ledger.intake, broker, KafkaSettings(topic="t", label_topic="l"), USERS, LABELS)
    assignment = found.assignment
    found.place()
    assert (dict(assignment.placed), assignment.unplaced) == ({USERS: 5, LABELS: 7}, set())
    broker.recreate("l")
    broker.logs[LABELS].ends = 50
    found.consumer.refresh_metadata(1000)
    assignment.look_for_recreated_topics(found.consumer)
    assert dict(assignment.recreated) == {LABELS: 7}
    assert assignment.topic_id("l") == broker.ids["l"]
    assignment.rewind(found.consumer)
    assert (dict(assignment.placed), dict(assignment.recreated)) == ({}, {})
    found.place()
    assert (dict(assignment.placed), assignment.unplaced) == ({USERS: 5}, {LABELS})
    assert dict(assignment.recreated) == {LABELS: 7}
    assert found.consumer.paused() == {LABELS}


@pytest.mark.parametrize(("start", "begins"), [("earliest", 0), ("latest", 50)])
def test_a_topic_of_labels_begins_whole_where_that_of_users_is_known(
    ledger: Ledger, start: Literal["earliest", "latest"], begins: int
) -> None:
    ledger.intake.start_at({USERS: 5}, 0.0)
    broker = broker_with(dict.fromkeys((USERS, MORE, LABELS), (0, 50)))
    kafka = KafkaSettings(topic="t", label_topic="l", start=start)
    found = Assigned(ledger.intake, broker, kafka, USERS, MORE, LABELS)
    found.place()
    assert found.assignment.placed == {USERS: 5, MORE: 0, LABELS: begins}  # what is new in a known topic loses nothing


def test_a_partition_that_went_away_meanwhile_is_placed_later(ledger: Ledger) -> None:
    found = placed_at(ledger.intake, broker_with({P0: (0, 50), P1: (0, 50)}), {P0: 5})
    found.assignment.rewind(found.consumer)
    found.consumer.assign([P1])
    found.place()
    assert (dict(found.assignment.placed), found.assignment.unplaced) == ({}, {P0})


def test_what_the_client_has_passed_without_giving_it_is_ahead_of_the_ledger(ledger: Ledger) -> None:
    found = placed_at(ledger.intake, broker_with({P0: (0, 5), P1: (0, 9)}), {P0: 5, P1: 5})
    assert found.assignment.ahead_of_ledger(found.consumer) == {}
    assert found.consumer.poll(0) == {}  # offsets 5 to 8 hold marks
    assert found.assignment.ahead_of_ledger(found.consumer) == {P1: ClientPosition(9, None)}
    found.assignment.stored_up_to(P1, 9)
    assert found.assignment.ahead_of_ledger(found.consumer) == {}


def test_partitions_have_caught_up_once_what_was_there_at_first_is_stored(ledger: Ledger) -> None:
    found = placed_at(ledger.intake, broker_with({P0: (0, 8)}), {P0: 5})
    assignment = found.assignment
    assert (assignment.settled, assignment.idle, assignment.caught_up) == (True, False, False)
    assignment.stored_up_to(P0, 8)
    assert assignment.caught_up
    assignment.rewind(found.consumer)
    assert (assignment.settled, assignment.idle, assignment.caught_up) == (False, False, False)
    found.go(P0)
    found.come()
    assert (assignment.settled, assignment.idle, assignment.caught_up) == (False, True, True)
    assignment.stored_up_to(P0, 9)  # not its own any more
    assert dict(assignment.placed) == {}


def test_nobody_changes_it_from_outside(ledger: Ledger) -> None:
    found = placed_at(ledger.intake, broker_with({P0: (0, 8)}), {P0: 5})
    for view in (found.assignment.placed, found.assignment.recreated):
        with pytest.raises(TypeError):
            view[P0] = 6  # type: ignore[index]
