"""A deadline ends what makes no progress, and nothing else."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from consumer.configuration.kafka import KafkaSettings
from consumer.deadline import Deadline, TimedOut
from consumer.errors import ConsumerError
from consumer.kafka.once import consumer_for_once


def test_it_ends_what_makes_no_progress_and_says_for_what_it_waited() -> None:
    now = 0.0
    deadline = Deadline(60, lambda: now)
    now = 59.0
    deadline.check("broker x did not answer")
    deadline.moved()
    now = 118.0
    assert deadline.left == 1.0
    deadline.check("broker x did not answer")
    now = 119.0
    with pytest.raises(TimedOut, match=r"^broker x did not answer for 60 s \(--timeout\)$") as ended:
        deadline.check("broker x did not answer")
    assert isinstance(ended.value, ConsumerError)


@pytest.mark.parametrize("seconds", [0.0, 1e12, math.inf])
def test_a_wait_for_longer_than_there_is_sets_no_timer(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """A thread's timer of so long ends with a trace."""
    consumer = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr("consumer.kafka.once.connect", lambda *_, **__: consumer)
    monkeypatch.setattr("consumer.kafka.once.threading.Timer", None)
    with consumer_for_once(KafkaSettings(), Deadline(seconds), print) as given:
        assert given is consumer


def test_without_a_limit_it_never_ends() -> None:
    deadline = Deadline(0, lambda: 1e9)
    assert deadline.left == math.inf
    deadline.check("anything")
