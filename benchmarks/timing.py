"""Timing two ways of doing the same: in turns, so that whatever else the machine does hits both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

_PAUSE = 0.05  # idle threads of one library's pool spin for a while and would slow the other's first moments


@dataclass(frozen=True, slots=True)
class Times:
    """Wall times of several runs, in seconds."""

    each: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that is reported."""
        return statistics.median(self.each)

    @property
    def fastest(self) -> float:
        """The run that was disturbed least."""
        return min(self.each)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What `work` returns, and the seconds it took."""
    time.sleep(_PAUSE)
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def in_turns(ours: Callable[[], object], peer: Callable[[], object], rounds: int) -> tuple[Times, Times]:
    """Run both `rounds` times, in turns. Both must have run before: results are compared before any time counts."""
    taken = [(timed(ours)[1], timed(peer)[1]) for _ in range(rounds)]
    mine, theirs = zip(*taken, strict=True)
    return Times(mine), Times(theirs)


def fastest_of(ours: Times, peer: Times) -> str:
    """For a note: the fastest runs of both, beside the medians in the row."""
    return f"fastest {ours.fastest:.3g} s and {peer.fastest:.3g} s"
