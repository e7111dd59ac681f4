"""Whom to kill, and when: every named point first, in an order of its own, then points and random times, by a seed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from schemas.fault_points import Point

Victim = Literal["consumer", "trainer", "both"]
VICTIMS: tuple[Victim, ...] = ("consumer", "trainer", "both")

POINTS = tuple(point for point in Point if not point.startswith("prune."))
"""Those that every run comes by: versions are deleted seldom, which `tests/processes/test_pruning.py` cuts short."""
_OF_SPACE = ("trainer.embed.", "trainer.labels.", "trainer.pair.")
SPACE_POINTS = tuple(point for point in Point if point.startswith(_OF_SPACE))
"""Where matrix, labels and pairs are changed: in place in a cycle that follows, from nothing in one from scratch."""

# Reached again and again while a service runs, so that the third time is worth as much as the first.
_OFTEN = {Point.POLLED, Point.STORING, Point.STORED, Point.COMMITTED}
_LATEST = 12.0


@dataclass(frozen=True, slots=True)
class Blow:
    """One start of the service, and how it is struck.

    With a point: whoever reaches it the `times`-th time dies, and with `both` the other as soon as that is seen.
    Without: after `after` seconds; a trainer alone when it has a cycle to run. A trainer that dies alone leaves a
    consumer, which is killed `then` seconds later. With `follows` the next cycle has to be one that follows the
    champion.
    """

    victim: Victim
    point: Point | None = None
    times: int = 1
    after: float = 0.0
    then: float = 0.0
    follows: bool = False


class Plan:
    """Blows without end."""

    def __init__(self, seed: int, points: Sequence[Point] = POINTS) -> None:
        self._draw = random.Random(seed)
        self._points = list(points)
        self._todo = deque((point, False) for point in self._draw.sample(self._points, len(self._points)))

    def next(self) -> Blow:
        """The next blow."""
        if self._todo:
            point, follows = self._todo.popleft()
            return self._at(point, times=1, follows=follows)
        if self._draw.random() < 0.5:
            point = self._draw.choice(self._points)
            return self._at(point, times=self._draw.randint(1, 5) if point in _OFTEN else 1)
        victim = self._draw.choice(VICTIMS)
        return Blow(victim, after=self._draw.uniform(0.2, _LATEST), then=self._then())

    def again(self, point: Point, *, follows: bool) -> None:
        """A point that was not reached, or not in a cycle that follows, is tried once more, later."""
        self._todo.append((point, follows))

    def _at(self, point: Point, times: int, *, follows: bool = False) -> Blow:
        own: Victim = "trainer" if point.startswith("trainer.") else "consumer"
        return Blow(self._draw.choice((own, "both")), point, times, then=self._then(), follows=follows)

    def _then(self) -> float:
        """Mostly soon; now and then late enough for another trainer to take over."""
        return self._draw.uniform(0.0, 2.0) if self._draw.random() < 0.75 else self._draw.uniform(6.0, _LATEST)
