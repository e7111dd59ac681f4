"""The status file: once a second the service says how it is, for the health check and for `retrainer status`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

STOPPED = "stopped"
_FRESH = 10.0


@dataclass(frozen=True, slots=True)
class Status:
    """How the service is. Times are seconds since the epoch."""

    pid: int
    state: str
    written_at: float
    polled_at: float
    """When the listener last polled, or last tried to reach the broker."""
    lag: int | None
    hold: str | None
    """Why no cycle is started now."""
    cycle: dict[str, Any] | None
    runs_cycles: bool = False
    """Whether it holds the lease; of several instances one does."""
    partitions: int = 0
    caught_up: bool = False

    def alive(self, now: float) -> bool:
        """Whether the service that wrote this is there: it writes every second, so long silence means gone or stuck."""
        return self.state != STOPPED and now - self.written_at < _FRESH


def write_status(path: Path, status: Status) -> None:
    """Replace the status file."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_text(json.dumps(asdict(status)))
    temporary.replace(path)


def read_status(path: Path) -> Status | None:
    """The status file; None where there is none that can be read."""
    try:
        return Status(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
