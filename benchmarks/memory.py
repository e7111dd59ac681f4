"""How much memory mining takes beside the matrix, which lies on disk and is mapped.

    python -m benchmarks.memory MATRIX USERS CHANGES

mines everybody of a matrix and then brings the graph up to some changes. It is the process that is measured; the matrix
is made in another, so that nothing of that counts.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.data import WIDTH, generated, mapped
from benchmarks.ours import DEFAULT_CAP, Maintained, policy
from benchmarks.rows import NotMeasured, Row, Setup, figure

NAME = "pairs.memory"
_MIB = 2**20


def memory(setup: Setup) -> list[Row]:
    """The peak of anonymous resident memory, interpreter included, of full mining and of one update."""
    if not Path("/proc/self/status").exists():
        raise NotMeasured("it is read from /proc, which only Linux has")
    users = setup.size(200_000, 3_000)
    changes = users // 100
    path = setup.folder / "directions.f32"
    generated(users + changes, into=mapped(path, users + changes, "w+"))
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.memory", str(path), str(users), str(changes)], stdout=subprocess.PIPE
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, _anonymous(process.pid))
        time.sleep(0.005)
    took = time.perf_counter() - start
    assert process.stdout is not None
    told = process.stdout.read().decode().strip()
    if process.returncode != 0:
        raise RuntimeError(f"the measured process ended with {process.returncode}")
    matrix = users * WIDTH * 4
    note = f"{told}; the matrix of {matrix / _MIB:,.0f} MiB is mapped and not counted, the interpreter is; {took:.0f} s"
    return [figure(NAME, peak / _MIB, "MiB", most=1024, note=note)]


def _anonymous(pid: int) -> int:
    """Bytes of resident memory that no file stands behind; 0 for a process that has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    parts = dict(line.split(":", 1) for line in status.splitlines())
    return sum(int(parts[name].split()[0]) * 1024 for name in ("RssAnon", "RssShmem") if name in parts)


def _measured(path: Path, users: int, changes: int) -> None:
    rows = mapped(path, users + changes, "r+")
    ours = Maintained(rows[:users], policy(0.8, DEFAULT_CAP), folder=path.parent)
    ours.mine_all()
    held = ours.held
    changed = np.random.default_rng(0).choice(users, size=changes, replace=False)
    ours.change(changed, rows[users:])
    told = f"{users:,} generated listeners, {held:,} links held, then {changes:,} changed"
    print(f"{told}, {ours.refilled:,} lists refilled")


if __name__ == "__main__":
    _measured(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
