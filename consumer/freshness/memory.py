"""Memory of this process and of those that it has started, as Linux tells it."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def own_bytes(proc: Path = _PROC) -> int | None:
    """Resident memory of this process; None where the machine does not say."""
    return _resident(proc, os.getpid())


def started_bytes(proc: Path = _PROC, pid: int | None = None) -> int | None:
    """Resident memory of all processes that this one, or `pid`, has started, and of those that they have started.

    None where the machine does not say. A page that several share counts for each of them.
    """
    parents = _parents(proc)
    if not parents:
        return None
    wanted, found = [os.getpid() if pid is None else pid], 0
    while wanted:
        of = wanted.pop()
        children = [child for child, parent in parents.items() if parent == of]
        wanted += children
        found += sum(_resident(proc, child) or 0 for child in children)
    return found


def _resident(proc: Path, pid: int) -> int | None:
    try:
        return int((proc / str(pid) / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):  # not Linux, or the process has just ended
        return None


def _parents(proc: Path) -> dict[int, int]:
    """The parent of each process that can be seen."""
    found = {}
    try:
        pids = [int(path.name) for path in proc.iterdir() if path.name.isdecimal()]
    except OSError:
        return {}
    for pid in pids:
        try:
            # The name of a process stands in parentheses, and may hold anything, parentheses too.
            found[pid] = int((proc / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
    return found
