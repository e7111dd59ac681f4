"""While anything is held nothing is fetched, also from partitions that come meanwhile; afterwards all goes on."""

from __future__ import annotations

from consumer.ledger.ledger import Ledger
from consumer.listener.pauses import Pauses
from consumer.listener.state import ListenerState
from tests.unit.consumer.listener.assigned import P0, P1, Assigned, broker_with, placed_at

FLOOD, FULL = ListenerState.TOO_MANY_DEAD_LETTERS, ListenerState.LEDGER_REFUSES


def both(ledger: Ledger) -> Assigned:
    return placed_at(ledger.intake, broker_with({P0: (0, 9), P1: (0, 9)}), {P0: 0, P1: 0})


def first(ledger: Ledger) -> Assigned:
    """Of two partitions the first is placed; the second comes next."""
    found = placed_at(ledger.intake, broker_with({P0: (0, 9), P1: (0, 9)}), {P0: 0})
    found.consumer.assign([P0, P1])
    found.come(P1)
    return found


def test_while_one_reason_is_held_all_is_paused_and_the_first_is_shown(ledger: Ledger) -> None:
    found, pauses = both(ledger), Pauses()

    def held() -> tuple[set[object], str | None]:
        pauses.apply(found.consumer, found.assignment)
        return set(found.consumer.paused()), pauses.reason

    assert held() == (set(), None)
    for reason in (FULL, FLOOD, FULL):
        pauses.hold(reason)
    assert held() == ({P0, P1}, FULL)
    pauses.release(FULL)
    assert held() == ({P0, P1}, FLOOD)
    pauses.release(FLOOD)
    pauses.release(ListenerState.STOPPED)  # never held
    assert held() == (set(), None)


def test_a_partition_that_is_placed_meanwhile_is_paused_too(ledger: Ledger) -> None:
    found, pauses = first(ledger), Pauses()
    pauses.hold(FLOOD)
    found.place()
    assert found.consumer.paused() == set()
    pauses.apply(found.consumer, found.assignment)
    assert found.consumer.paused() == {P0, P1}


def test_unplaced_partitions_stay_paused_when_the_reason_is_gone(ledger: Ledger) -> None:
    found, pauses = first(ledger), Pauses()
    pauses.hold(FLOOD)
    pauses.apply(found.consumer, found.assignment)
    pauses.release(FLOOD)
    pauses.apply(found.consumer, found.assignment)
    assert found.consumer.paused() == {P1}


def test_pauses_that_others_made_are_left_alone_where_nothing_was_held(ledger: Ledger) -> None:
    found, pauses = both(ledger), Pauses()
    found.consumer.pause(P0)
    pauses.apply(found.consumer, found.assignment)
    assert found.consumer.paused() == {P0}


def test_a_partition_that_went_away_ends_nothing(ledger: Ledger) -> None:
    found, pauses = both(ledger), Pauses()
    found.consumer.assign([P1])
    pauses.hold(FLOOD)
    pauses.apply(found.consumer, found.assignment)
    assert found.consumer.paused() == {P1}
    pauses.release(FLOOD)
    pauses.apply(found.consumer, found.assignment)
    assert found.consumer.paused() == set()
