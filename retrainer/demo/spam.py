"""Spam: one wave in which bots follow those who pay for it, and the next in which these follows are deleted.

The spam is laid over any audience whose listeners follow each other, as an upstream bug is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from retrainer.demo.overlay import Overlay
from retrainer.demo.waves import Audience, Wave, share
from schemas.labels import PairKey

SPAM_WAVE = 5
"""In which a demo's spam comes; the next wave deletes it."""

_PROMOTED = 4  # users who pay
_BOTS = 0.25  # share of all accounts that follow each of them: bots that look like anybody, or were somebody's


class WithSpam(Overlay):
    """Listeners of whom many follow the same few in one wave; in the next, beside what happens then, that is deleted.

    One wave is put in; those of the source follow each other as before. The same arguments give the same story.

    Args:
        source: the audience.
        wave: number of the wave of spam, from 1 on. A source with fewer waves, or without follows, has no spam.
        seed: of the draw of who pays, and who follows for it.
    """

    def __init__(self, source: Audience, wave: int = SPAM_WAVE, seed: int = 0) -> None:
        super().__init__(source, wave, seed)

    def waves(self) -> Iterator[Wave]:
        """See Audience."""
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
            spam = self._spam(list(users), follows)
            yield Wave(f"bots make {len(spam):,} follows, all of {_PROMOTED} users who pay for it", follows=spam)
            clean = next(source, Wave(""))
            title = ", ".join(filter(None, [f"{len(spam):,} spam follows are deleted", clean.title]))
            meant = set(clean.follows)  # somebody may follow those who paid because he likes them
            gone = dict.fromkeys(pair for pair in (*spam, *clean.unfollows) if pair not in meant)
            yield replace(clean, title=title, unfollows=tuple(gone))
        yield from source

    def _spam(self, users: list[str], follows: dict[PairKey, None]) -> tuple[PairKey, ...]:
        draw = np.random.default_rng([self._seed, 2])
        promoted = draw.choice(len(users), _PROMOTED, replace=False)
        count = share(len(users), _BOTS)
        found = ((users[bot], users[one]) for one in promoted for bot in draw.choice(len(users), count, replace=False))
        return tuple((bot, one) for bot, one in found if bot != one and not {(bot, one), (one, bot)} & follows.keys())
