"""A bridge that looks once ends when nothing goes on, and one that watches does not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import retrainer.cli.bridge
from consumer.deadline import Deadline, TimedOut
from consumer.settings import Settings
from retrainer.bridge.errors import BridgeError
from retrainer.bridge.orders import Orders
from retrainer.cli.bridge import _deadline, _Worker


class Hanging:
    """A bridge that waits for a cluster until it is told to stop, after some progress."""

    def __init__(self, steps: int, stopping: threading.Event, moved: Callable[[], None]) -> None:
        self._steps, self._stopping, self._moved = steps, stopping, moved

    def once(self) -> None:
        for _ in range(self._steps):
            self._moved()
            if self._stopping.wait(0.1):
                raise BridgeError("stopped too early")
        if self._steps == 0:
            self._stopping.wait(60)
            raise BridgeError("interrupted")


def worker(monkeypatch: pytest.MonkeyPatch, folder: Path, steps: int, deadline: Deadline) -> _Worker:
    def made(*arguments: Any, moved: Callable[[], None]) -> Hanging:
        return Hanging(steps, arguments[-1], moved)

    monkeypatch.setattr(retrainer.cli.bridge, "Bridge", made)
    monkeypatch.setattr("consumer.stopping.signal.signal", lambda *_: None)
    return _Worker(Settings(state_dir=folder), folder, Orders(False, False, False), True, False, deadline)


def test_it_ends_when_nothing_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(TimedOut, match=r"heard nothing from the cluster.* for 0.5 s \(--timeout\)"):
        worker(monkeypatch, tmp_path, 0, Deadline(0.5)).work()


def test_it_goes_on_while_there_is_progress(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    worker(monkeypatch, tmp_path, 12, Deadline(1.0)).work()


def test_a_snapshot_has_as_long_as_it_may_take(tmp_path: Path) -> None:
    cluster = {"host": "h", "project": "p"}
    settings = Settings.model_validate({"state_dir": tmp_path, "hopsworks": cluster})
    assert _deadline(settings, 60.0).seconds == 900.0
    assert _deadline(settings, 1800.0).seconds == 1800.0
    assert _deadline(settings, 0.0).seconds == 0.0
