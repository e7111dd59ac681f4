"""What is measured of a running service, from outside: its processes, its ledger, its folders, what it says."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil

from consumer.status import read_status

_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"

_PENDING = "SELECT coalesce(sum(rows), 0) FROM portions WHERE kind = 'users' AND cycle_id = ''"
_NUMBER = re.compile(r":\[\d+\]$")


def sample(pid: int, state: Path, now: float) -> dict[str, Any]:
    """Everything at one moment."""
    consumer = psutil.Process(pid)
    status = read_status(state / "status.json")
    return {
        "at": round(now, 2),
        "consumer": of_process(consumer),
        "open": open_handles(pid),
        "trainers": [found for child in consumer.children() if (found := of_process(child))],
        "cycle": status.cycle["cycle_id"] if status and status.cycle else None,
        "step": status.cycle["step"] if status and status.cycle else None,
        "state": status.state if status else None,
        "lag": status.lag if status else None,
        "polled_ago": round(now - status.polled_at, 2) if status else None,
        "ledger": ledger(state / "ledger.db"),
        "work": _folder(state / "trainer"),
        "registry": _folder(state / "registry"),
        "service_log": _size(state / "service.log"),
    }


def of_process(process: psutil.Process) -> dict[str, Any]:
    """Memory in bytes, open handles, threads, CPU seconds; empty for one that has just ended."""
    with suppress(psutil.Error, OSError):
        memory, cpu = process.memory_full_info(), process.cpu_times()
        return {
            "pid": process.pid,
            "rss": memory.rss,
            "uss": memory.uss,
            "pss": memory.pss,
            "handles": process.num_fds(),
            "threads": process.num_threads(),
            "cpu": round(cpu.user + cpu.system, 2),
            "started": round(process.create_time(), 2),
        }
    return {}


def open_handles(pid: int) -> dict[str, int]:
    """What its handles are: so many of each file, socket and pipe, so that a leak can be named."""
    found: Counter[str] = Counter()
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found[_NUMBER.sub("", handle.readlink().name)] += 1
    return dict(sorted(found.items()))


def peak(pid: int) -> int:
    """The largest resident memory that a process ever had, as the kernel kept it; 0 for one that has ended."""
    with suppress(OSError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def ledger(path: Path) -> dict[str, Any]:
    """Its files, and what lies in them: rows and bytes of each table, indexes included, and pages that are free."""
    found: dict[str, Any] = {"file": _size(path), "wal": _size(path.with_name(path.name + "-wal"))}
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        db.execute("BEGIN")
        tables = [name for (name,) in db.execute(_TABLES)]
        found["rows"] = {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608
        of = "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat s JOIN sqlite_schema m ON m.name = s.name GROUP BY 1"
        found["bytes"] = {name: size for name, size in db.execute(of) if name in tables}
        found["free"] = _pragma(db, "freelist_count") * _pragma(db, "page_size")
        found["pending"] = db.execute(_PENDING).fetchone()[0]
        found["next"], found["events"] = db.execute("SELECT sum(next_offset), sum(events) FROM offsets").fetchone()
    return found


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def _folder(path: Path) -> dict[str, int]:
    """Files and bytes below a folder; what vanishes meanwhile is not counted."""
    files = size = 0
    for folder, _, names in os.walk(path):  # which passes over a folder that is not there any more
        for name in names:
            with suppress(OSError):
                files, size = files + 1, size + (Path(folder) / name).stat().st_size
    return {"files": files, "bytes": size}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Trainers:
    """The trainer processes that came and went, each with the peak of its memory; look often, they live for seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._there: dict[int, dict[str, Any]] = {}

    def look(self, consumer: psutil.Process, now: float) -> None:
        """Who is there now; those who have gone since are written down."""
        children = {child.pid: child for child in consumer.children()}
        for pid, child in children.items():
            with suppress(psutil.Error):
                one = self._there.setdefault(pid, {"pid": pid, "started": round(child.create_time(), 2), "peak": 0})
                cpu = child.cpu_times()
                one["peak"] = max(one["peak"], peak(pid))
                one["cpu"] = round(max(one.get("cpu", 0.0), cpu.user + cpu.system), 2)
                one["threads"] = max(one.get("threads", 0), child.num_threads())
                one["handles"] = max(one.get("handles", 0), child.num_fds())
        for pid in set(self._there) - set(children):
            append(self._path, {**self._there.pop(pid), "ended": round(now, 2)})


def append(path: Path, line: dict[str, Any]) -> None:
    """One more line of JSON."""
    with path.open("a") as out:
        out.write(json.dumps(line) + "\n")
