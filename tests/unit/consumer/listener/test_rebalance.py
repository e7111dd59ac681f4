"""What is assigned is noted with what is kept, and paused."""

from __future__ import annotations

from consumer.listener.rebalance import Rebalance, RebalanceKind, RebalanceNotes
from tests.fake_kafka import FakeBroker, FakeConsumer
from tests.unit.consumer.listener.assigned import P0, P1

ASSIGNED, GONE = RebalanceKind.ASSIGNED, RebalanceKind.GONE


def test_kept_partitions_are_noted_with_those_that_came_and_those_that_went() -> None:
    consumer = FakeConsumer(FakeBroker({"t": 2}), P0, P1)
    notes = RebalanceNotes(consumer)
    notes.on_assigned(frozenset({P1}))  # cooperative: P0 is kept
    assert notes.drain() == [Rebalance(ASSIGNED, frozenset({P0, P1}))]
    assert consumer.paused() == {P0, P1}
    consumer.assign([P0])
    notes.on_revoked(frozenset({P1}))
    assert notes.drain() == [Rebalance(GONE, frozenset({P1})), Rebalance(ASSIGNED, frozenset({P0}))]
    notes.on_revoked(frozenset({P0}))  # eager: it is still in the assignment
    assert notes.pending
    assert notes.drain() == [Rebalance(GONE, frozenset({P0}))]
    assert not notes.pending
    notes.on_lost(frozenset({P0}))
    assert notes.drain() == [Rebalance(GONE, frozenset({P0}))]
