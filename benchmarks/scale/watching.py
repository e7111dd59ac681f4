"""Watching a process from outside: seconds of each of its steps, and the most memory it had in each."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.rows import NotMeasured

_LOOK_EVERY = 0.01
_FORGET_PEAK = "5"  # man proc_pid_clear_refs: the peak of resident memory begins again
BEFORE = "start"
"""What a process does before its first step: it imports libraries."""


@dataclass(slots=True)
class Step:
    """One step. Memory is in bytes.

    Attributes:
        seconds: wall time.
        anonymous: the most resident memory that no file stands behind: what a machine has to have. Looked at every
            hundredth of a second.
        resident: the most resident memory, mapped files included, which the system takes away where others need room.
    """

    seconds: float = 0.0
    anonymous: int = 0
    resident: int = 0


@dataclass(slots=True)
class Watched:
    """A process that tells its steps, one JSON line each with `step`, and has ended."""

    code: int
    steps: dict[str, Step] = field(default_factory=dict)


def watched(command: Sequence[str], folder: Path, errors: Path, asked: str | None = None) -> Watched:
    """Run `command` in `folder` to its end, `asked` on its standard input.

    Raises:
        NotMeasured: this system has no /proc.
    """
    if not Path("/proc/self/clear_refs").exists():
        raise NotMeasured("memory is read from /proc, which only Linux has")
    with errors.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdin is not None
        if asked is not None:
            process.stdin.write(asked + "\n")
            process.stdin.flush()
        now = [BEFORE]
        reading = threading.Thread(target=_follow, args=(process, now), daemon=True)
        reading.start()
        steps = _sampled(process, now)
        reading.join()
        process.stdin.close()
    return Watched(process.returncode, steps)


def _follow(process: subprocess.Popen[str], now: list[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        with suppress(ValueError, TypeError, KeyError):
            now[0] = str(json.loads(line)["step"])


def _sampled(process: subprocess.Popen[str], now: list[str]) -> dict[str, Step]:
    steps: dict[str, Step] = {}
    last, since = "", time.perf_counter()
    while process.poll() is None:
        if now[0] != last:
            last, since = now[0], time.perf_counter()
            with suppress(OSError):
                Path(f"/proc/{process.pid}/clear_refs").write_text(_FORGET_PEAK)
        step = steps.setdefault(last, Step())
        status = _status(process.pid)
        step.seconds = time.perf_counter() - since
        step.anonymous = max(step.anonymous, _bytes(status, "RssAnon") + _bytes(status, "RssShmem"))
        step.resident = max(step.resident, _bytes(status, "VmHWM"))
        time.sleep(_LOOK_EVERY)
    return steps


def _status(pid: int) -> Mapping[str, str]:
    """Of a process; empty where it has just ended."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def _bytes(status: Mapping[str, str], name: str) -> int:
    return int(status[name].split()[0]) * 1024 if name in status else 0
