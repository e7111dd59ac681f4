"""Who follows whom: a taste that the features show only in part.

Listeners belong to scenes, which cross all genres. A scene shows in the features by nothing but the artists that its
people prefer, so it is a faint trace in `artist_embedding`. Whom somebody follows is drawn by how alike the scenes are,
and less so the genres and the era, and by how popular the other is; what else is in the features has no part in it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Indices = NDArray[np.intp]

SCENES = 12
APPEAL = 0.5
"""Spread of popularity, in the measure of `attraction`."""
_SCENE, _GENRE, _ERA = 8.0, 2.5, 2.0  # what each counts
_ERA_YEARS = 9.0
_BLOCK = 512  # listeners who choose at a time, so that memory is never the square of all


@dataclass(frozen=True, slots=True)
class People:
    """What decides who follows whom, a row each.

    Attributes:
        scenes: (people, scenes) how much they belong to each.
        tastes: (people, genres) how much they like each.
        eras: (people,) the year that they like most.
        appeal: (people,) how much others like to follow them, whoever they are.
    """

    scenes: Doubles
    tastes: Doubles
    eras: Doubles
    appeal: Doubles

    def of(self, rows: Indices) -> People:
        """Some of them."""
        return People(self.scenes[rows], self.tastes[rows], self.eras[rows], self.appeal[rows])


def attraction(some: People, others: People) -> Doubles:
    """How much each of `some` is drawn to each of the others, (some, others): logarithms of odds."""
    scene = _unit(some.scenes) @ _unit(others.scenes).T
    genre = _unit(some.tastes) @ _unit(others.tastes).T
    era = np.exp(-0.5 * ((some.eras[:, None] - others.eras) / _ERA_YEARS) ** 2)
    found: Doubles = _SCENE * scene + _GENRE * genre + _ERA * era + others.appeal
    return found


def new_follows(
    people: People,
    followers: Indices,
    counts: NDArray[np.int64],
    known: Iterable[tuple[int, int]],
    draw: np.random.Generator,
) -> list[tuple[int, int]]:
    """Whom some people begin to follow.

    Args:
        people: everybody.
        followers: (choosing,) rows of those who choose, each once.
        counts: (choosing,) how many each chooses; fewer where nobody is left.
        known: follows that are there already; nobody is followed twice.
        draw: the random numbers.

    Returns:
        (follower, followed) rows; nobody follows himself.
    """
    already: dict[int, list[int]] = {}
    for one, other in known:
        already.setdefault(one, []).append(other)
    found = []
    for start in range(0, len(followers), _BLOCK):
        rows = followers[start : start + _BLOCK]
        odds = attraction(people.of(rows), people)
        odds += draw.gumbel(size=odds.shape)  # the highest are then a draw by these odds, each at most once
        for at, row in enumerate(rows.tolist()):
            odds[at, [row, *already.get(row, ())]] = -np.inf
            count = min(int(counts[start + at]), int(np.isfinite(odds[at]).sum()))
            found += [(row, other) for other in np.argsort(-odds[at])[:count].tolist()]
    return found


def _unit(rows: Doubles) -> Doubles:
    unit: Doubles = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
