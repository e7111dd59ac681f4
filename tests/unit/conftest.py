"""Unit tests start no process, and take no settings from the environment of whoever runs them.

A test that starts a process, itself or through the code, fails with words on where it belongs.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator

import pytest

_STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"})
"""Events of Python's audit (PEP 578): a process is about to be started."""
_running: list[str] = []
"""The unit test that runs now; empty while others do."""


def _watch(event: str, args: tuple[object, ...]) -> None:
    if event in _STARTS and _running:
        raise AssertionError(
            f"{_running[-1]} starts a process ({event} {args[:2]}): it belongs into tests/processes, tests/integration "
            "or tests/contract"
        )


sys.addaudithook(_watch)


# Pytest calls these two for the tests below this folder only.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Watch its fixtures."""
    return (yield from _watched(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Watch the test."""
    return (yield from _watched(item))


def _watched(item: pytest.Item) -> Generator[None, object, object]:
    _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.pop()


@pytest.fixture(autouse=True)
def _no_settings_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("RETRAINER_"):
            monkeypatch.delenv(name)
