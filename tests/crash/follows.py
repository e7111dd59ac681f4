"""Labels as they come: follows, second thoughts, some taken back, and now and then one that nobody can use."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from schemas.labels import LabelGroup, PairKey
from stores.labels.local import Label

LABELS = LabelGroup(name="follows")
_EACH = 3
_KEPT = 400  # of whom second thoughts are had
_WORDS = ("follow",) * 6 + ("accept", "dismiss", "block")


class Follows:
    """What users do with one another, drawn; of users who are not there yet, or no more, too."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._lately: list[PairKey] = []

    def first(self, users: Sequence[str]) -> dict[PairKey, Label]:
        """Everybody follows a few others."""
        return {pair: self._said("follow") for user in users for pair in self._pairs(user, users, _EACH)}

    def some(self, users: Sequence[str]) -> tuple[dict[PairKey, Label], list[PairKey]]:
        """A few labels that are written, and a few that are removed."""
        draw = self._draw
        coming = [*users, f"u{len(users)}", f"u{len(users) + 1}"]
        pairs = [pair for _ in range(draw.randint(1, 3)) for pair in self._pairs(draw.choice(users), coming, 1)]
        pairs += draw.sample(self._lately, 1) if draw.random() < 0.3 else []
        gone = draw.sample(self._lately, 1) if draw.random() < 0.2 else []
        written = {pair: self._said(draw.choice(_WORDS)) for pair in pairs if pair not in gone}
        if draw.random() < 0.05:
            user = draw.choice(users)
            written[user, draw.choice((user, "u0"))] = self._said("adores")
        return written, gone

    def _pairs(self, user: str, users: Sequence[str], count: int) -> list[PairKey]:
        pairs = [(user, other) for other in self._draw.sample(users, count) if other != user]
        self._lately = [*self._lately, *pairs][-_KEPT:]
        return pairs

    def _said(self, word: str) -> Label:
        return Label(word, time.time())
