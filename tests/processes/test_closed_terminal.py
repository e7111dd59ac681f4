"""A terminal that is closed (SIGHUP) stops the service in good order; under `nohup` it goes on."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.waiting import wait_until

RETRAINER = [sys.executable, "-m", "retrainer.cli"]
NO_BROKER = "127.0.0.1:9"


@contextmanager
def on_a_terminal(state: Path, *before: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`retrainer run` in a session of its own, with a terminal that is closed by closing the given descriptor."""
    ours, theirs = pty.openpty()
    settings = {"RETRAINER_STATE_DIR": str(state), "RETRAINER_KAFKA__BOOTSTRAP_SERVERS": NO_BROKER}

    def take_terminal() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under `nohup` themselves
        os.login_tty(theirs)

    with subprocess.Popen(
        [*before, *RETRAINER, "run"],
        env={**os.environ, **settings},
        cwd=state,  # where `nohup` writes its file
        pass_fds=[theirs],
        preexec_fn=take_terminal,
    ) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def state_of(state: Path) -> str | None:
    try:
        return str(json.loads((state / "status.json").read_text())["state"])
    except (OSError, ValueError):
        return None


@pytest.mark.full
def test_a_service_whose_terminal_closes_stops_in_good_order(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path) as (process, terminal):
        wait_until(lambda: state_of(tmp_path) is not None, 30, "the service writes its status")
        os.close(terminal)  # the kernel sends SIGHUP
        assert process.wait(timeout=60) == 0
    assert state_of(tmp_path) == "stopped"


@pytest.mark.full
def test_a_service_under_nohup_goes_on(tmp_path: Path) -> None:
    with on_a_terminal(tmp_path, "nohup") as (process, terminal):
        wait_until(lambda: state_of(tmp_path) is not None, 30, "the service writes its status")
        os.close(terminal)  # the kernel sends SIGHUP
        at = (tmp_path / "status.json").stat().st_mtime_ns
        wait_until(lambda: (tmp_path / "status.json").stat().st_mtime_ns > at, 10, "it writes its status again")
        assert process.poll() is None
        process.terminate()
        assert process.wait(timeout=60) == 0
