"""A command that runs a cycle itself waits for its training, and not for ever for a registry that does not answer."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from consumer.cycles.foreground import _until_idle
from consumer.deadline import Deadline, TimedOut


@dataclass
class Cycle:
    """A supervisor at work for so many ticks, ten seconds each; after `fails_after` of them it only asks."""

    ticks: int
    fails_after: int
    clock: list[float] = field(default_factory=lambda: [0.0])

    @property
    def busy(self) -> bool:
        return self.ticks > 0

    @property
    def only_asks(self) -> bool:
        return self.fails_after <= 0

    def tick(self, _now: float) -> None:
        self.ticks -= 1
        self.fails_after -= 1
        self.clock.append(self.clock[-1] + 10)

    def holds(self, _now: float) -> bool:
        return True


def run(cycle: Cycle, monkeypatch: pytest.MonkeyPatch) -> None:
    woken = threading.Event()
    monkeypatch.setattr(woken, "wait", lambda _: True)
    _until_idle(cycle, cycle, woken, [], Deadline(60, lambda: cycle.clock[-1]))  # type: ignore[arg-type]


def test_training_takes_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    cycle = Cycle(ticks=1000, fails_after=1001)
    run(cycle, monkeypatch)
    assert not cycle.busy


def test_a_registry_that_does_not_say_whether_it_has_the_version_is_asked_until_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cycle = Cycle(ticks=1000, fails_after=100)
    with pytest.raises(TimedOut, match=r"the registry did not say .* for 60 s"):
        run(cycle, monkeypatch)
    assert 1000 - cycle.ticks in {105, 106}
