"""Listeners who change their minds, leave and come back, and are on the whole always the same.

A soak needs a world that does not grow by itself. Tastes of generated listeners drift apart from their beginnings for
ever, and with them the number of similar pairs; here everybody has two tastes and goes from one to the other.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from retrainer.demo.audience import GeneratedAudience
from retrainer.demo.waves import Row, Wave

_AWAY = 0.04
"""Share of all listeners who are not there at the moment."""


class Crowd:
    """A crowd of so many listeners; the same `users` and `seed` give the same story."""

    def __init__(self, users: int, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        everybody = users + round(users * _AWAY)
        self._tastes: list[Mapping[str, Row]] = [
            GeneratedAudience(everybody, seed + number).initial().upserts for number in (1, 2)
        ]
        ids = list(self._draw.permutation(list(self._tastes[0])))
        self._there, self._gone = [str(user) for user in ids[:users]], [str(user) for user in ids[users:]]
        self._taste = {str(user): int(self._draw.integers(2)) for user in ids}

    def initial(self) -> Wave:
        """Everybody who is there at the beginning."""
        return Wave("", self._rows(self._there))

    def wave(self, changing: int, coming: int) -> Wave:
        """So many change their taste; as many as come back leave. Whoever has been gone longest comes back first."""
        self._draw.shuffle(self._there)
        leaving, self._there = self._there[:coming], self._there[coming:]
        drifting = self._there[:changing]
        for user in drifting:
            self._taste[user] = 1 - self._taste[user]
        back, self._gone = self._gone[:coming], [*self._gone[coming:], *leaving]
        self._there += back
        return Wave("", self._rows([*drifting, *back]), tuple(leaving))

    def _rows(self, users: list[str]) -> dict[str, Row]:
        return {user: self._tastes[self._taste[user]][user] for user in users}
