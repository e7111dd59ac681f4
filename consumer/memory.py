"""Memory in use by this process and by those that it has started, as Linux tells it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident bytes, and how many processes we have started that still run."""

    own: int
    children: int
    processes: int


def memory(proc: Path = Path("/proc"), pid: int | None = None) -> Memory | None:
    """The memory of a process, ourselves where none is named, and of its descendants; None where nobody tells."""
    own = _resident(proc, pid := pid or os.getpid())
    if own is None:
        return None
    found = [resident for child in _descendants(proc, pid) if (resident := _resident(proc, child)) is not None]
    return Memory(own, sum(found), len(found))


def _descendants(proc: Path, pid: int) -> Iterator[int]:
    for task in _listed(proc / str(pid) / "task"):
        with suppress(OSError, ValueError):  # it ended meanwhile
            for child in map(int, (task / "children").read_text().split()):
                yield child
                yield from _descendants(proc, child)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _resident(proc: Path, pid: int) -> int | None:
    try:
        pages = int((proc / str(pid) / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") or None  # of a zombie nothing is left
