"""Polls of a backlog are stored together: nothing is lost, nothing counts twice, nothing waits for long (P1)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.errors import KafkaError
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from consumer.configuration.kafka import KafkaSettings
from consumer.database.engine import reading
from consumer.database.tables import changes, portions
from consumer.ledger.batch import Batch
from consumer.ledger.intake import Intake
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener import window
from consumer.listener.listener import Listener
from consumer.listener.rebalance import RebalanceNotes
from consumer.positions import Position
from consumer.settings import Settings
from schemas.events import encode
from schemas.features import FeatureGroup
from tests.fake_kafka import FakeBroker, FakeConsumer
from tests.unit.consumer.listener.assigned import P0, P1, SetClock

GROUP = FeatureGroup(id=13)
A_POLL = 10


class Listening:
    """A listener whose turns are taken one by one, and whose ledger may refuse."""

    def __init__(self, ledger: Ledger, broker: FakeBroker, folder: Path) -> None:
        self.ledger, self.broker, self.time = ledger, broker, SetClock(100.0)
        self.recorded: list[Batch] = []
        self.refuses = False
        self._settings = Settings(
            state_dir=folder, feature_group=GROUP, kafka=KafkaSettings(topic="t", max_poll_records=A_POLL)
        )
        self.start()

    def start(self) -> None:
        """Begin, or begin again after a crash: what was gathered is gone."""
        self.listener = Listener(self._settings, _Intake(self), self.time.clock, lambda: None)
        self.listener._polling.begin()
        self.listener._polling._stopping = _Impatient()
        self.consumer = FakeConsumer(self.broker)
        self.consumer.most = A_POLL
        self.notes = RebalanceNotes(self.consumer)
        self.consumer.subscribe(["t"], self.notes)

    def turn(self) -> None:
        self.time.now += 0.01
        self.listener._turn(self.consumer, self.notes)

    def crash(self) -> None:
        self.broker.members.remove(self.consumer)
        self.start()

    def rebalance(self) -> None:
        self.broker.generation += 1

    def finish(self) -> None:
        """Read to the end, after whatever wait there is."""
        for _ in range(100):
            self.time.now += 40
            self.turn()
            if self.ledger.intake.positions("t") == {one: log.ends for one, log in self.broker.logs.items()}:
                return
        raise AssertionError(f"the ledger stays at {self.ledger.intake.positions('t')}")


class _Impatient(threading.Event):
    """Nobody waits after a poll that has failed."""

    def wait(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        return False


class _Intake(Intake):
    def __init__(self, of: Listening) -> None:
        super().__init__(of.ledger.engine)
        self._of = of

    def record(self, batch: Batch) -> None:
        if self._of.refuses:
            self._of.refuses = False
            raise OperationalError("INSERT", {}, Exception("database is locked"))
        super().record(batch)
        self._of.recorded.append(batch)


@contextmanager
def listening(events: list[tuple[int, str]]) -> Iterator[Listening]:
    """A listener on a new ledger; of each event the number of its partition and its user."""
    broker = FakeBroker({"t": 2})
    for number, user in events:
        broker.logs[(P0, P1)[number]].append(encode(GROUP, user), timestamp=1_700_000_000_000)
    with TemporaryDirectory() as folder:
        ledger = open_ledger(f"sqlite:///{folder}/ledger.db")
        yield Listening(ledger, broker, Path(folder))
        ledger.close()


@pytest.fixture(autouse=True)
def full_polls_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MANY", A_POLL)


def begun(of: Listening) -> Listening:
    """Placed, with nothing read."""
    of.turn()
    assert of.listener._assignment.placed == {P0: 0, P1: 0}
    return of


def kept(ledger: Ledger) -> dict[str, tuple[int, str, str]]:
    of = changes.c
    with reading(ledger.engine) as connection:
        rows = connection.execute(select(of.user_id, of.events, of.first_position, of.last_position))
        return {user: (events, first, last) for user, events, first, last in rows}


def backlog(polls: int) -> list[tuple[int, str]]:
    return [(0, f"u{number % 7}") for number in range(polls * A_POLL)]


def test_the_polls_of_a_backlog_are_one_transaction() -> None:
    with listening(backlog(3)) as of:
        begun(of)
        of.turn()
        of.turn()
        assert (of.recorded, of.ledger.intake.positions("t")[P0]) == ([], 0)
        assert of.listener.status.lag == 3 * A_POLL
        of.turn()
        (batch,) = of.recorded
        assert (batch.progress[P0], batch.events[P0]) == ((0, 30), 30)
        assert (of.listener.status.events, of.listener.status.lag) == (30, 0)
        assert {user: found[0] for user, found in kept(of.ledger).items()} == Counter(user for _, user in backlog(3))
        assert kept(of.ledger)["u6"] == (4, str(Position("t", 0, 6)), str(Position("t", 0, 27)))


def test_what_comes_alone_is_stored_at_once() -> None:
    with listening([(0, "u1"), (1, "u2")]) as of:
        begun(of)
        of.turn()
        assert of.listener.status.events == 2


def test_a_poll_that_brings_little_ends_the_gathering() -> None:
    with listening(backlog(2)[:-1]) as of:
        begun(of)
        of.turn()
        of.broker.logs[
            P0
        ].ends += 5  # there is more, and no client gets it: an open transaction, or a broker that hangs
        of.turn()
        assert of.listener.status.events == 19


def test_time_keys_and_dead_letters_end_the_gathering(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(backlog(5)) as of:
        begun(of)
        of.turn()
        of.time.now += window.LONGEST
        of.turn()
        assert of.listener.status.events == 20
        monkeypatch.setattr(window, "MOST_KEYS", 7)
        of.turn()
        assert of.listener.status.events == 30
    with listening([*backlog(1)[:-1], (0, "\0"), *backlog(2)]) as of:
        begun(of)
        of.turn()
        assert (of.listener.status.events, of.listener.status.dead) == (10, 1)


def test_arrival_is_that_of_the_first_and_of_the_last() -> None:
    with listening(backlog(2)) as of:
        begun(of)
        of.turn()
        began = of.time.now
        of.turn()
        with reading(of.ledger.engine) as connection:
            (row,) = connection.execute(select(portions.c.fresh_since, portions.c.received_at))
            (change,) = connection.execute(select(changes.c.fresh_since, changes.c.received_at).distinct())
        assert tuple(row) == tuple(change) == (began, of.time.now)
        assert of.time.now > began


@pytest.mark.parametrize("error", [KafkaError("what"), ValueError("what")])
def test_what_is_gathered_is_stored_before_a_client_that_fails_is_dealt_with(error: Exception) -> None:
    with listening(backlog(3)) as of:
        begun(of)
        of.turn()
        of.consumer.errors.append(error)
        try:
            of.turn()
        except ValueError:
            of.listener._leave(of.consumer, of.notes)
        assert of.ledger.intake.positions("t")[P0] == A_POLL


def test_what_is_gathered_counts_for_nothing_once_partitions_move() -> None:
    with listening(backlog(3)) as of:
        begun(of)
        of.turn()
        of.rebalance()
        of.turn()
        assert (of.recorded, of.ledger.intake.positions("t")[P0]) == ([], 0)
        of.finish()
        assert sum(events for events, *_ in kept(of.ledger).values()) == 30


def test_what_was_gathered_of_a_topic_that_is_recreated_takes_nothing_from_the_new_one() -> None:
    with listening(backlog(3)) as of:
        begun(of)
        of.turn()
        of.broker.recreate("t")
        for number in range(A_POLL):
            of.broker.logs[P0].append(encode(GROUP, f"new{number}"), timestamp=1_700_000_000_000)
        of.consumer.refresh_metadata(0)
        for _ in range(20):
            of.time.now += 2
            of.turn()
        assert {f"new{number}" for number in range(A_POLL)} <= kept(of.ledger).keys()


def test_what_a_client_gives_again_while_it_is_gathered_counts_once() -> None:
    with listening(backlog(3)) as of:
        begun(of)
        of.turn()
        of.consumer.seek(P0, 0)  # by itself, as a client that resets its position
        of.turn()
        of.finish()
        assert sum(events for events, *_ in kept(of.ledger).values()) == 30


actions = st.sampled_from(["turn", "turn", "turn", "error", "rebalance", "refuse", "crash", "wait", "away", "more"])


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abcdefg")), max_size=60), st.lists(actions, max_size=25))
def test_whatever_happens_every_event_is_stored_once(events: list[tuple[int, str]], happens: list[str]) -> None:
    with listening(events) as of:
        sent = list(events)
        for what in happens:
            match what:
                case "turn":
                    of.turn()
                case "error":
                    of.consumer.errors.append(KafkaError("what"))
                    of.turn()
                case "rebalance":
                    of.rebalance()
                case "refuse":
                    of.refuses = True
                case "crash":
                    of.crash()
                case "wait":
                    of.time.now += 2
                case "away":
                    of.broker.away = not of.broker.away
                case "more":
                    sent += [(1, "h")] * A_POLL
                    for _ in range(A_POLL):
                        of.broker.logs[P1].append(encode(GROUP, "h"), timestamp=1_700_000_000_000)
        of.broker.away = of.refuses = False
        of.finish()
        found = kept(of.ledger)
        assert {user: events for user, (events, *_) in found.items()} == Counter(user for _, user in sent)
        for user, (_, first, last) in found.items():
            theirs = {
                str(Position("t", number, at))
                for number in (0, 1)
                for at, (_, one) in enumerate(event for event in sent if event[0] == number)
                if one == user
            }
            assert {first, last} <= theirs
