"""Waiting for a condition with a deadline; no test sleeps for a fixed time, and none depends on how fast it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.05
_PATIENCE = 5
"""How many times as long as on a calm machine something may take on one that is busy with other things."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block has to end after as many `seconds` as on a calm machine, or a few times as many."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < _PATIENCE * seconds, f"it took {took:.1f} s, where {seconds:.0f} s would do on a calm machine"


def wait_until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """The first truthy answer of `condition`, asked again and again; fails in the end, naming what was awaited.

    `seconds` would do on a machine that is calm.
    """
    patience = _PATIENCE * seconds
    deadline = time.monotonic() + patience
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience:.0f} s in vain for {what}; the last answer was {answer!r}")
        time.sleep(_PAUSE)
