"""What the listener makes of a client that fails, stays outside its group, or takes what it does not give."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import cast

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

from consumer.clock import Clock
from consumer.configuration.kafka import KafkaSettings
from consumer.errors import OutsideGroup
from consumer.ledger.ledger import Ledger
from consumer.listener import gaps as gaps_module
from consumer.listener import polling
from consumer.listener.gaps import Gaps
from consumer.listener.listener import Listener
from consumer.listener.polling import Polling
from consumer.listener.rebalance import RebalanceNotes
from consumer.settings import Settings
from tests.fake_kafka import FakeBroker, FakeConsumer
from tests.unit.consumer.listener.assigned import P0, P1, broker_with
from tests.worlds import GROUP

T1 = TopicPartition("t", 1)


def test_polls_that_fail_for_long_are_left_to_another_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "RETRY_AFTER", 0.0)
    now = 0.0
    poller = Polling(cast("Gaps", None), lambda: now, threading.Event(), 75.0)
    consumer = FakeConsumer(FakeBroker({"t": 1}))
    consumer.member = True
    consumer.errors = [NotLeaderForPartitionError("no")] * (polling._GIVEN_UP_AFTER + 1)
    for _ in range(polling._GIVEN_UP_AFTER):
        assert poller.poll(consumer) is None
    assert "no" in str(poller.trouble)
    with pytest.raises(KafkaError):
        poller.poll(consumer)
    assert [poller.pause() for _ in range(5)] == [1.0, 2.0, 4.0, 8.0, 10.0]
    poller.begin()
    assert poller.trouble is None
    assert poller.poll(consumer) == {}
    now = 61.0
    assert poller.pause() == 1.0


def test_a_client_that_does_not_get_into_its_group_is_given_up() -> None:
    now = 1000.0
    poller = Polling(cast("Gaps", None), lambda: now, threading.Event(), 75.0)
    consumer = FakeConsumer(FakeBroker({"t": 1}))
    poller.begin()
    now = 1070.0
    assert poller.poll(consumer) == {}
    consumer.member = True
    assert poller.poll(consumer) == {}  # from now on
    consumer.member = False
    now = 1144.0
    assert poller.poll(consumer) == {}
    now = 1146.0
    with pytest.raises(OutsideGroup, match="76 s"):
        poller.poll(consumer)
    poller.begin()
    assert poller.poll(consumer) == {}


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
    ledger.intake.start_at({P0: 0}, now)
    settings = Settings(state_dir=tmp_path, feature_group=GROUP, kafka=KafkaSettings(topic="t"))
    listener = Listener(settings, ledger.intake, Clock(lambda: now, lambda: now), lambda: None)
    consumer = FakeConsumer(broker_with({P0: (0, 100), P1: (0, 0)}))
    consumer.assign([P0])
    consumer.member = True
    notes = RebalanceNotes(consumer)
    notes.on_assigned(frozenset({P0}))
    consumer.seek(P0, 0)

    def stands() -> tuple[int | None, bool]:
        at = consumer.position(P0)
        return (None if at is None else at.offset), bool(consumer.paused())

    listener._turn(consumer, notes)
    assert stands() == (0, False)
    consumer.errors = [error]
    listener._turn(consumer, notes)
    assert consumer.errors == []
    now = 10.0
    consumer.broker.away = True  # or the poll of this turn would read on
    listener._turn(consumer, notes)
    assert stands() == (0, False)
    assert ledger.intake.positions("t") == {P0: 0}
