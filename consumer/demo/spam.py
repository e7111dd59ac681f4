"""Spam: one wave in which bots follow whomever they are paid to, and the next in which their follows are deleted.

It is laid over any source of listeners who follow each other, as an upstream bug is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from consumer.demo.waves import Listeners, Wave, share
from schemas.features import Column
from schemas.labels import PairKey

SPAM_WAVE = 6
"""In which a demo's spam comes; the next wave deletes it."""

_BOTS = 0.03  # share of the users who are there
_SPAM = 0.2  # of the follows that are there, how many times as many the bots add


class WithSpam:
    """Listeners of whom some are bots: in one wave they follow others at random, in the next that is deleted.

    Two waves are put in; those of the source follow each other as before. The same arguments tell the same story.

    Args:
        source: the listeners.
        wave: number of the wave of spam, from 1 on. A source with fewer waves, or without follows, has no spam.
        seed: of the draw of who is a bot and whom it follows.
    """

    def __init__(self, source: Listeners, wave: int = SPAM_WAVE, seed: int = 0) -> None:
        if wave < 1:
            raise ValueError(f"wave must be at least 1, got {wave}")
        self._source = source
        self._wave = wave
        self._seed = seed

    @property
    def columns(self) -> tuple[Column, ...]:
        """See Listeners."""
        return self._source.columns

    @property
    def name(self) -> str:
        """See Listeners."""
        return self._source.name

    def initial(self) -> Wave:
        """See Listeners."""
        return self._source.initial()

    def waves(self) -> Iterator[Wave]:
        """See Listeners."""
        begin = self._source.initial()
        users, follows = dict.fromkeys(begin.upserts), dict.fromkeys(begin.follows)
        source = self._source.waves()
        for _ in range(1, self._wave):
            if (wave := next(source, None)) is None:
                return
            users = {user: None for user in {**users, **dict.fromkeys(wave.upserts)} if user not in set(wave.deletes)}
            follows = {pair: None for pair in follows if pair not in set(wave.unfollows)}
            follows |= dict.fromkeys(wave.follows)
            yield wave
        if follows:
            yield from self._spam(list(users), follows)
        yield from source

    def _spam(self, users: list[str], follows: dict[PairKey, None]) -> Iterator[Wave]:
        draw = np.random.default_rng([self._seed, 2])
        bots = draw.choice(len(users), share(len(users), _BOTS), replace=False)
        each = round(len(follows) * _SPAM / len(bots))
        pairs = ((int(bot), int(other)) for bot in bots for other in draw.choice(len(users), each, replace=False))
        named = ((users[bot], users[other]) for bot, other in pairs if bot != other)
        spam = tuple(pair for pair in named if pair not in follows)
        yield Wave(f"{len(bots):,} bots follow at random: {len(spam):,} spam follows", follows=spam)
        yield Wave(f"the spam is found: {len(spam):,} follows are deleted", unfollows=spam)
