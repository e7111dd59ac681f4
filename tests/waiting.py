"""Waiting for a condition with a deadline; no test sleeps for a fixed time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.05


def wait_until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """The first truthy answer of `condition`, asked again and again; fails after `seconds`, naming what was awaited."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; the last answer was {answer!r}")
        time.sleep(_PAUSE)
