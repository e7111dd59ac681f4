"""Memory as Linux tells it, of this process and of what it has started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from consumer.freshness.memory import own_bytes, started_bytes

PAGE = os.sysconf("SC_PAGE_SIZE")


def process(proc: Path, pid: int, parent: int, pages: int, name: str = "python") -> None:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) S {parent} 1 1 0 -1\n")
    (proc / str(pid) / "statm").write_text(f"999 {pages} 3 1 0 5 0\n")


def test_all_that_a_process_has_started_counts_and_nothing_else(tmp_path: Path) -> None:
    process(tmp_path, 1, 0, 1000)
    process(tmp_path, 10, 1, 500)
    process(tmp_path, 11, 10, 7)
    process(tmp_path, 12, 11, 5, name=") S 1 (")
    process(tmp_path, 13, 1, 2000)
    (tmp_path / "14").mkdir()  # it has just ended
    (tmp_path / "self").mkdir()
    assert started_bytes(tmp_path, 10) == 12 * PAGE
    assert started_bytes(tmp_path, 13) == 0


def test_where_the_machine_does_not_say_nothing_is_said(tmp_path: Path) -> None:
    assert own_bytes(tmp_path) is None
    assert started_bytes(tmp_path / "absent") is None
    assert started_bytes(tmp_path) is None


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no Linux")
def test_this_process_has_some() -> None:
    own = own_bytes()
    assert own is not None
    assert 2**20 < own < 2**35
    assert started_bytes() is not None
