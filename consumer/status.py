"""The status file: once a second the service says how it is, for the health check and for `retrainer status`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


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
