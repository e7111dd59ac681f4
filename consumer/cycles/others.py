"""The other instances on this ledger, as seen from here: who is there, and whether they have read their partitions."""

from __future__ import annotations

import time
from collections.abc import Callable

from consumer.ledger.instances import Instances

_GONE_AFTER = 15.0  # seconds without a new word; they speak every three


class Others:
    """What one instance knows of the others. It never compares their clocks with its own.

    Args:
        instances: where they say how they are.
        name: this instance.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(self, instances: Instances, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._instances = instances
        self._name = name
        self._clock = clock
        self._heard: dict[str, tuple[float, float]] = {}  # its last word by its clock, and when it was new by ours

    def caught_up(self) -> bool:
        """Whether every other instance that is there has read what its partitions held; their word is seconds old."""
        now, found = self._clock(), self._instances.seen_since(0.0)
        for one in found:
            if one.name not in self._heard or self._heard[one.name][0] != one.seen_at:
                self._heard[one.name] = one.seen_at, now
        there = [one for one in found if one.name != self._name and now - self._heard[one.name][1] < _GONE_AFTER]
        return all(one.state["caught_up"] for one in there)
