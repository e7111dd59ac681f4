"""The status file: once a second the service writes how it is, for the health check and for `retrainer status`.

The file lies in the state folder. While the folder cannot be written, because the disk is full or read-only, the file
lies in the machine's memory: the service is well then, and its status matters most.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any

from consumer.clock import Clock, this_boot
from schemas.private import private_file

_FRESH = 10.0
_IN_MEMORY = Path("/dev/shm")  # noqa: S108  (a file there is read only if its owner may write it)


class ServiceState(StrEnum):
    """How a service is, where that says more than how its listener is."""

    STOPPED = "stopped"
    HELD = "held"
    """The last cycle was held."""
    TRAINING = "training"
    """A cycle is under way."""
    IN_TROUBLE = "in trouble"
    """The ledger or the disk cannot be used."""


@dataclass(frozen=True, slots=True)
class Status:
    """How the service is. Times are seconds since the epoch."""

    pid: int
    state: str
    """A ServiceState, or how the listener is."""
    written_at: float
    polled_at: float
    """When the listener last polled, or last tried to reach the broker."""
    lag: int | None
    hold: str | None
    """Why no cycle is started now."""
    cycle: dict[str, Any] | None
    runs_cycles: bool = False
    """Whether the service holds the lease; one of several instances does."""
    partitions: int = 0
    caught_up: bool = False
    trouble: str | None = None
    """What keeps ledger or disk from being used, where something does."""
    unable: str | None = None
    """Why the service cannot read: it is not in its group, say, or broker or ledger are away."""
    notice: str | None = None
    """What a person should know of the events that come, such as that none is ours; a line for each notice."""
    held: str | None = None
    """Why the last cycle was held and what to do; None where it was not. Only the instance that runs cycles says so."""
    listener: str | None = None
    """How the listener is, whatever the state says."""
    last_lag: int | None = None
    """The lag when it was last known."""
    lag_at: float | None = None
    """When that was."""
    stored_event_at: float | None = None
    """The time of the newest event in the last batch that was stored."""
    hold_until: float | None = None
    """Until when no cycle starts even if nothing changes, where that is known."""
    failing: dict[str, Any] | None = None
    """What fails, by the fields of `consumer.cycles.failure_report.FailureReport`."""
    full_waits: dict[str, Any] | None = None
    """The full retrain that has to wait, by the fields of `consumer.cycles.deciding.FullWaits`."""
    served: dict[str, str] | None = None
    """What is served where, by the place; only the instance that runs cycles says so."""
    http: str | None = None
    """Where the page and the API are served; None where they are not."""
    boot: str | None = None
    """The boot of the machine by which the next two are counted."""
    written_elapsed: float | None = None
    """`written_at` by `Clock.elapsed`."""
    polled_elapsed: float | None = None
    """`polled_at` by `Clock.elapsed`."""

    def alive(self, clock: Clock) -> bool:
        """Whether the service that wrote this is there: it writes every second, so silence means gone or stuck."""
        return self.state != ServiceState.STOPPED and self.silence(clock) < _FRESH

    def silence(self, clock: Clock) -> float:
        """Seconds since this was written."""
        return self._age(clock, self.written_at, self.written_elapsed)

    def deafness(self, clock: Clock) -> float:
        """Seconds since the listener last polled."""
        return self._age(clock, self.polled_at, self.polled_elapsed)

    def order(self) -> tuple[bool, float]:
        """A key by which the later of two statuses is the greater."""
        ours = self.boot is not None and self.boot == this_boot() and self.written_elapsed is not None
        return ours, (self.written_elapsed or 0.0) if ours else self.written_at

    def _age(self, clock: Clock, at: float, elapsed: float | None) -> float:
        """Age by the clock that nobody sets, within one boot; else by the wall clock: a future time is old too."""
        if elapsed is not None and self.boot is not None and self.boot == this_boot():
            return max(0.0, clock.elapsed() - elapsed)
        return abs(clock.now() - at)


def write_status(path: Path, status: Status) -> str | None:
    """Replace the status file, at `path` or, where that fails, in memory.

    Returns:
        Why the file could not be written at `path`; None where it was written.

    Raises:
        OSError: the file could not be written in memory either.
    """
    try:
        _replace(path, status)
    except OSError as error:
        _replace(_elsewhere(path), status)
        return str(error)
    with suppress(OSError):
        _elsewhere(path).unlink(missing_ok=True)
    return None


def read_status(path: Path) -> Status | None:
    """The later one of the files at `path` and in memory; None where neither can be read."""
    elsewhere = _elsewhere(path)
    found = [_read(path), _read(elsewhere) if _is_ours(elsewhere, path.parent) else None]
    return max((status for status in found if status), key=Status.order, default=None)


def _replace(path: Path, status: Status) -> None:
    """The old file stays whole until the new one takes its place."""
    temporary = path.with_name(f".{path.name}")
    try:
        temporary.unlink(missing_ok=True)
        private_file(temporary, new=True)  # a new file, so no link of somebody else is followed
        with temporary.open("w") as file:
            json.dump(asdict(status), file)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _read(path: Path) -> Status | None:
    try:
        return Status(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _is_ours(elsewhere: Path, folder: Path) -> bool:
    """Anybody may write into that memory; only files of users who may write into the state folder count."""
    try:
        return elsewhere.lstat().st_uid in {0, os.geteuid(), folder.stat().st_uid}
    except OSError:
        return False


def _elsewhere(path: Path) -> Path:
    """The file in memory that stands for this one."""
    root = _IN_MEMORY if _IN_MEMORY.is_dir() else Path(tempfile.gettempdir())
    return root / f"retrainer-{blake2b(str(path.absolute()).encode(), digest_size=8).hexdigest()}.json"
