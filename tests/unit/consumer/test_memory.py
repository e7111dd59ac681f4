"""Memory of a tree of processes, as Linux shows it in files."""

from __future__ import annotations

import os
from pathlib import Path

from consumer.memory import Memory, memory

PAGE = os.sysconf("SC_PAGE_SIZE")


def process(proc: Path, pid: int, pages: int, *children: int, thread: int | None = None) -> None:
    task = proc / str(pid) / "task" / str(thread or pid)
    task.mkdir(parents=True)
    (task / "children").write_text("".join(f"{child} " for child in children))
    (proc / str(pid) / "statm").write_text(f"999 {pages} 3 1 0 7 0\n")


def test_children_of_all_threads_and_their_children_count(tmp_path: Path) -> None:
    process(tmp_path, 1, 10, 2)
    process(tmp_path, 1, 10, 3, thread=11)
    process(tmp_path, 2, 20, 4)
    process(tmp_path, 3, 30)
    process(tmp_path, 4, 40)
    process(tmp_path, 5, 50)  # somebody else's
    assert memory(tmp_path, 1) == Memory(10 * PAGE, 90 * PAGE, 3)


def test_a_child_that_ended_meanwhile_and_a_zombie_count_nothing(tmp_path: Path) -> None:
    process(tmp_path, 1, 10, 2, 3)
    process(tmp_path, 3, 0)
    assert memory(tmp_path, 1) == Memory(10 * PAGE, 0, 0)


def test_where_nobody_tells_nothing_is_said(tmp_path: Path) -> None:
    assert memory(tmp_path, 1) is None


def test_our_own_memory_is_told() -> None:
    found = memory()
    assert found is not None
    assert found.own > 2**20
