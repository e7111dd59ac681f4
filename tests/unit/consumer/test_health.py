"""The health check asks about the listener's polls, not about whoever writes the file."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from consumer.health import main
from consumer.status import ServiceState, Status, write_status


@pytest.fixture
def status_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("RETRAINER_STATE_DIR", str(tmp_path))
    return tmp_path / "status.json"


def test_a_listener_that_polls_is_well(status_file: Path) -> None:
    now = time.time()
    well = Status(pid=1, state="listening", written_at=now, polled_at=now, lag=0, hold=None, cycle=None)
    write_status(status_file, well)
    assert main() == 0
    write_status(status_file, replace(well, state="training"))
    assert main() == 0


def test_a_listener_that_does_not_poll_is_ill_though_the_service_writes(
    status_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    stuck = Status(pid=1, state="listening", written_at=now, polled_at=now - 60, lag=0, hold=None, cycle=None)
    write_status(status_file, stuck)
    assert main() == 1
    assert "last polled 60 s ago" in capsys.readouterr().out
    write_status(status_file, replace(stuck, polled_at=now, state=ServiceState.STOPPED))
    assert main() == 1


def test_a_cycle_that_was_held_turns_it_bad_until_somebody_has_decided(
    status_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    held = Status(pid=1, state="held", written_at=now, polled_at=now, lag=0, hold=None, cycle=None)
    write_status(status_file, replace(held, held="50 % were refused; to do: look at the rows"))
    assert main() == 1
    assert capsys.readouterr().out == "held: 50 % were refused; to do: look at the rows\n"
    monkeypatch.setenv("RETRAINER_HEALTH__HELD", "false")
    assert main() == 0
    monkeypatch.delenv("RETRAINER_HEALTH__HELD")
    write_status(status_file, held)
    assert main() == 0


def test_no_file_and_a_damaged_one_are_ill(status_file: Path) -> None:
    assert main() == 1
    status_file.write_text("{half")
    assert main() == 1


def test_wrong_settings_are_ill_and_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RETRAINER_HEALTH__MAX_AGE", "soon")
    assert main() == 1
    assert "RETRAINER_HEALTH__MAX_AGE" in capsys.readouterr().out
