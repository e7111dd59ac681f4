"""Tests leave no file in the checkout: whoever commits after a run would commit it, too.

What has appeared is told at the end; with REQUIRE_UNTOUCHED=1 it fails the run.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_BEFORE = pytest.StashKey[frozenset[str]]()
_APPEARED = pytest.StashKey[list[str]]()


def files_of_nobody(checkout: Path) -> frozenset[str]:
    """What lies in a checkout of Git, is no part of it and is not ignored; nothing where there is no Git."""
    command = ["git", "ls-files", "--others", "--exclude-standard", "-z"]
    try:
        said = subprocess.run(command, cwd=checkout, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return frozenset()
    return frozenset(os.fsdecode(said).split("\0")) - {""}


def pytest_sessionstart(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):  # a worker of pytest-xdist: the run looks, and once
        session.config.stash[_BEFORE] = files_of_nobody(_ROOT)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    before = session.config.stash.get(_BEFORE, None)
    if before is None:
        return
    session.config.stash[_APPEARED] = appeared = sorted(files_of_nobody(_ROOT) - before)
    if appeared and os.environ.get("REQUIRE_UNTOUCHED") == "1" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if appeared := terminalreporter.config.stash.get(_APPEARED, []):
        terminalreporter.section("left in the checkout", sep="!", red=True, bold=True)
        terminalreporter.write_line(f"{', '.join(appeared)}: a test has left this behind, or you have just made it")
