"""The courier: in order, at least once, patient, and quiet about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from consumer.ledger.ledger import Ledger, open_ledger
from consumer.ledger.outbox import Channel, Waiting, tell
from consumer.model_events.envelope import Envelope
from consumer.model_events.followers import followers
from consumer.model_events.queue import EventQueue
from consumer.sending.courier import Courier
from consumer.sending.patience import WEBHOOK, Patience
from consumer.sending.ports import Gone, NotSent
from consumer.settings import Settings, load_settings
from consumer.trouble import Trouble
from schemas.log_events.model_events import (
    MODEL_EVENT_SENT,
    MODEL_EVENTS_GIVEN_UP,
    MODEL_EVENTS_NOT_SENT,
    MODEL_EVENTS_SENT_AGAIN,
    WEBHOOK_GONE,
)
from schemas.model_events import ModelEvent, ModelEventFacts, ModelEventType
from tests.waiting import wait_until

DAY = 86_400.0


class Wire:
    """A channel that takes events, or fails as told: `None` takes, an error is raised; the last for ever."""

    def __init__(self, channel: Channel = Channel.WEBHOOK) -> None:
        self.channel = channel
        self.tried: list[str] = []
        self.took: list[ModelEvent] = []
        self.will: list[Exception | None] = [None]

    def send(self, event: ModelEvent) -> None:
        self.tried.append(event.data.reason)
        answer = self.will.pop(0) if len(self.will) > 1 else self.will[0]
        if answer is not None:
            raise answer
        self.took.append(event)

    def close(self) -> None:
        pass

    @property
    def got(self) -> list[str]:
        return [event.data.reason for event in self.took]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    return load_settings()


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    opened = open_ledger(settings.ledger.url)
    yield opened
    opened.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def fill(ledger: Ledger, *names: str, at: float = 1_000_000.0) -> None:
    with ledger.engine.begin() as connection:
        for name in names:
            facts = ModelEventFacts(version=7, champion=7, promotion=3, cycle_id="c1", reason=name)
            tell(connection, name, ModelEventType.PROMOTED, facts, at)


def courier(
    ledger: Ledger, settings: Settings, wire: Wire, clock: Clock, patience: Patience = WEBHOOK
) -> Courier[Waiting]:
    queue = EventQueue(ledger.outbox, Envelope(settings, ledger.ledger_id), wire)
    trouble = Trouble(MODEL_EVENTS_NOT_SENT, MODEL_EVENTS_SENT_AGAIN, clock)
    return Courier(queue, patience, trouble, now=clock, draw=lambda: 0.0)


def test_what_waits_is_sent_in_order_and_once(ledger: Ledger, settings: Settings) -> None:
    wire, clock = Wire(), Clock()
    carrying = courier(ledger, settings, wire, clock)
    fill(ledger, "a", "b", "c")
    with capture_logs() as logs:
        assert carrying.turn() == 0.0
        assert carrying.turn() == 1.0
        fill(ledger, "d")
        carrying.turn()
    assert wire.got == ["a", "b", "c", "d"]
    assert [line["event"] for line in logs] == [MODEL_EVENT_SENT] * 4
    event = wire.took[0]
    assert (event.id, event.source) == (f"{ledger.ledger_id}-a", f"/retrainer/{ledger.ledger_id}")
    assert event.subject == "two_tower_recommender/7"
    assert event.data.files is not None
    assert event.data.files.path == str(settings.state_dir / "registry" / "two_tower_recommender" / "7")
    assert [one.sequence for one in wire.took] == sorted(one.sequence for one in wire.took)


def test_the_same_row_gives_the_same_bytes(ledger: Ledger, settings: Settings) -> None:
    fill(ledger, "a")
    (waiting,) = ledger.outbox.waiting(Channel.TOPIC)
    again = Envelope(load_settings(), ledger.ledger_id)
    assert again.event(waiting).body() == Envelope(settings, ledger.ledger_id).event(waiting).body()


def test_a_failure_holds_up_those_behind_it_ever_longer(ledger: Ledger, settings: Settings) -> None:
    wire, clock = Wire(), Clock()
    wire.will = [None, *[NotSent("answered 500")] * 4, None]
    carrying = courier(ledger, settings, wire, clock)
    fill(ledger, "a", "b", "c")
    waits = []
    with capture_logs() as logs:
        for _ in range(4):
            waits.append(carrying.turn())
            clock.now += waits[-1]
        assert ledger.outbox.trouble() == "answered 500"
        assert carrying.turn() == 0.0
    assert waits == [5.0, 10.0, 20.0, 40.0]
    assert wire.tried == ["a", "b", "b", "b", "b", "b", "c"]
    assert wire.got == ["a", "b", "c"]
    assert ledger.outbox.trouble() is None
    told = [line["event"] for line in logs if line["event"] != MODEL_EVENT_SENT]
    assert told == [MODEL_EVENTS_NOT_SENT, MODEL_EVENTS_SENT_AGAIN]  # no line for each try


def test_a_receiver_that_asks_for_time_gets_it_within_bounds(ledger: Ledger, settings: Settings) -> None:
    wire, clock = Wire(), Clock()
    wire.will = [NotSent("answered 429", 120.0), NotSent("answered 429", 1e9), NotSent("answered 429", 0.0)]
    carrying = courier(ledger, settings, wire, clock)
    fill(ledger, "a")
    assert [carrying.turn() for _ in range(3)] == [120.0, 900.0, 20.0]


def test_after_three_days_old_events_are_given_up_and_new_ones_tried(ledger: Ledger, settings: Settings) -> None:
    wire, clock = Wire(), Clock()
    wire.will = [NotSent("answered 404")]
    carrying = courier(ledger, settings, wire, clock)
    fill(ledger, "a", "b")
    tries = 0
    with capture_logs() as logs:
        while clock.now < 1_000_000.0 + 3 * DAY:
            clock.now += carrying.turn()
            tries += 1
        fill(ledger, "c", at=clock.now)
        clock.now += carrying.turn()
        wire.will = [None]
        carrying.turn()
    assert set(wire.tried[:-1]) == {"a"}
    assert wire.got == ["c"]
    assert ledger.outbox.given_up().events == 2
    assert ledger.outbox.count_waiting(Channel.TOPIC) == 3
    assert tries < 3 * 96 + 20  # one in a quarter of an hour: no storm
    assert [line["events"] for line in logs if line["event"] == MODEL_EVENTS_GIVEN_UP] == [2]


def test_an_old_event_is_not_given_up_at_the_first_failure(ledger: Ledger, settings: Settings) -> None:
    """The service may have been down for a week, and the receiver for a moment."""
    wire, clock = Wire(), Clock()
    wire.will = [NotSent("refused"), None]
    carrying = courier(ledger, settings, wire, clock)
    fill(ledger, "a", at=clock.now - 7 * DAY)
    carrying.turn()
    carrying.turn()
    assert wire.got == ["a"]


def test_gone_means_gone_until_the_next_start(ledger: Ledger, settings: Settings) -> None:
    wire, clock = Wire(), Clock()
    wire.will = [Gone("answered 410 Gone")]
    carrying = courier(ledger, settings, wire, clock)
    fill(ledger, "a", "b")
    with capture_logs() as logs:
        for _ in range(100):
            clock.now += carrying.turn()
    assert wire.tried == ["a"]
    assert [line["event"] for line in logs] == [WEBHOOK_GONE, MODEL_EVENTS_GIVEN_UP]
    assert ledger.outbox.given_up().events == 2  # and the outbox does not grow for ever
    fill(ledger, "c", at=clock.now)
    wire.will = [None]
    courier(ledger, settings, wire, clock).turn()
    assert wire.got == ["c"]


def test_only_the_note_is_tried_again_while_the_ledger_refuses_it(
    ledger: Ledger, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire, clock = Wire(Channel.TOPIC), Clock()
    carrying = courier(ledger, settings, wire, clock)
    fill(ledger, "a", "b")

    def refuses(_channel: Channel, _number: int) -> None:
        raise OperationalError("update", None, Exception("disk full"))

    with monkeypatch.context() as broken, capture_logs() as logs:
        broken.setattr(type(ledger.outbox), "sent", lambda _self, channel, number: refuses(channel, number))
        assert [carrying.turn() for _ in range(3)] == [1.0, 1.0, 1.0]
        assert wire.got == ["a"]
    carrying.turn()
    assert wire.got == ["a", "b"]
    assert [line["event"] for line in logs] == [MODEL_EVENTS_NOT_SENT]
    assert ledger.outbox.count_waiting(Channel.TOPIC) == 0


def test_waits_grow_up_to_a_bound_with_a_little_chance() -> None:
    waits = [WEBHOOK.wait(failures, 0.0) for failures in range(1, 2000)]
    assert waits[:8] == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0]
    assert set(waits[8:]) == {900.0}
    assert WEBHOOK.wait(1, 1.0) == 6.25


def test_by_default_there_is_only_the_thread_that_keeps_the_outbox_small(ledger: Ledger, settings: Settings) -> None:
    (trimming,) = followers(settings, ledger)
    fill(ledger, *(f"n{number}" for number in range(1_100)))
    trimming.start()
    trimming.start()
    wait_until(lambda: ledger.outbox.count_waiting(Channel.TOPIC) == 1_000, 20, "the outbox to be trimmed")
    trimming.stop()
    trimming.stop()
