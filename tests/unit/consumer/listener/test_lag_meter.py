"""The lag is what the topic holds beyond what is stored: also while nothing is fetched."""

from __future__ import annotations

from consumer.configuration.kafka import KafkaSettings
from consumer.ledger.ledger import Ledger
from consumer.listener.lag_meter import Lag, LagMeter
from consumer.positions import Partition
from tests.unit.consumer.listener.assigned import P0, P1, Assigned, broker_with, placed_at


class Room:
    """The parts together, with a clock that is set by hand."""

    def __init__(self, ledger: Ledger, stored: dict[Partition, int], ends: dict[Partition, int]) -> None:
        self.broker = broker_with({partition: (0, end) for partition, end in ends.items()})
        self.assigned = (
            placed_at(ledger.intake, self.broker, stored)
            if stored
            else Assigned(ledger.intake, self.broker, KafkaSettings(topic="t"))
        )
        self.broker.asked = 0
        self.consumer, self.assignment = self.assigned.consumer, self.assigned.assignment
        self.meter = LagMeter(self.assignment, self.assigned.time)

    def later(self, seconds: float) -> None:
        self.assigned.time.now += seconds

    def ends_at(self, partition: Partition, end: int) -> None:
        self.broker.logs[partition].ends = end

    def fetches(self, partition: Partition, end: int) -> None:
        """A fetch brings where the partition ends, and nothing else."""
        self.consumer._highwater[partition] = end

    def lag(self) -> Lag:
        return self.meter.measure(self.consumer)


def test_lag_counts_from_what_is_stored_to_the_later_of_what_was_fetched_and_what_was_asked(ledger: Ledger) -> None:
    room = Room(ledger, {P0: 40, P1: 10}, {P0: 50, P1: 10})
    room.ends_at(P0, 60)
    assert room.lag() == (2, 20, False)
    room.fetches(P0, 70)
    room.fetches(P1, 5)
    room.assignment.stored_up_to(P0, 55)
    assert room.lag() == (2, 15, True)


def test_while_the_ledger_refuses_the_broker_is_asked_and_the_lag_grows(ledger: Ledger) -> None:
    room = Room(ledger, {P0: 40}, {P0: 50})
    assert room.lag().records == 10
    room.assignment.rewind(room.consumer)
    room.ends_at(P0, 1050)
    assert room.lag().records == 10  # it was asked just now
    room.later(2)
    assert room.lag() == (0, 1010, False)


def test_what_is_not_known_is_not_told(ledger: Ledger) -> None:
    room = Room(ledger, {}, {P0: 9, P1: 9})
    assert room.lag() == (0, 0, True)  # there is nothing for it to read
    room.assigned.go()
    assert room.lag().records is None  # it has not joined
    room.consumer.assign([P0])
    room.assigned.come(P0)
    assert room.lag().records is None  # the ledger has not been asked where it stands
    room.assigned.place()
    room.consumer.assign([P0, P1])
    room.assigned.come(P1)
    room.assigned.place()
    room.broker.away = True
    assert room.lag().records is None  # nobody knows where the second ends


def test_a_broker_that_is_away_is_not_asked_in_every_turn(ledger: Ledger) -> None:
    room = Room(ledger, {P0: 3}, {P0: 3})
    room.broker.away = True
    room.fetches(P0, 8)
    for _ in range(90):
        room.later(0.1)
        assert room.lag().records is None
    assert room.broker.asked == 1


def test_what_a_broker_said_before_it_went_away_is_no_lag(ledger: Ledger) -> None:
    room = Room(ledger, {P0: 3}, {P0: 3})
    room.fetches(P0, 3)
    assert (room.lag().records, room.meter.broker_away) == (0, False)
    room.broker.away = True
    room.later(2)
    assert (room.lag().records, room.meter.broker_away) == (None, True)
    room.later(9)
    assert room.lag().records is None  # it is not asked yet, and a fetch has brought nothing
    room.fetches(P0, 9)  # it was only slow to say how far it goes
    assert (room.lag().records, room.meter.broker_away) == (6, False)
    room.later(1)
    assert room.lag().records is None  # asked again, in vain
    room.broker.away = False
    room.ends_at(P0, 10)
    room.later(10)
    assert (room.lag().records, room.meter.broker_away) == (7, False)


def test_without_partitions_no_broker_is_missed(ledger: Ledger) -> None:
    room = Room(ledger, {P0: 3}, {P0: 3})
    room.broker.away = True
    assert (room.lag().records, room.meter.broker_away) == (None, True)
    room.assigned.go(P0)
    room.assigned.come()
    assert (room.lag().records, room.meter.broker_away) == (0, False)


def test_what_another_instance_has_is_not_counted(ledger: Ledger) -> None:
    room = Room(ledger, {P0: 3, P1: 0}, {P0: 3, P1: 3})
    room.ends_at(P1, 100)
    assert room.lag().records == 100
    room.assigned.go(P1)
    room.assigned.come()
    assert room.lag() == (1, 0, True)
