"""A command that runs a cycle itself waits for its training, and not for ever for a registry that does not answer."""

from __future__ import annotations

import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import Mock

import pytest

from consumer.cycles.foreground import _until_idle, run_cycle
from consumer.cycles.supervisor import Supervisor
from consumer.deadline import Deadline, TimedOut
from consumer.ledger.ledger import open_ledger
from consumer.settings import Settings
from schemas.cycle import CycleKind


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


def test_a_backfill_that_was_asked_for_stays_asked_for_until_it_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same replay, given again, finds its request open; it had been answered by no cycle."""
    monkeypatch.setattr(Supervisor, "start", Mock(side_effect=OSError("killed here")))
    settings = Settings(state_dir=tmp_path)
    with closing(open_ledger(settings.ledger.url)) as ledger:
        for kind in (CycleKind.BACKFILL, CycleKind.INCREMENTAL):
            request = ledger.retrain_requests.ask(kind, "operator", 1.0)
            if kind is CycleKind.BACKFILL:
                with pytest.raises(OSError, match="killed here"):
                    run_cycle(settings, ledger, kind, print, request)
                assert ledger.retrain_requests.taken_up(request) is None
            else:
                assert run_cycle(settings, ledger, kind, print, request) is None  # nothing is pending
                assert ledger.retrain_requests.taken_up(request) is not None
