"""Real listeners, from a Last.fm listening log: user, artist, plays, tab-separated.

How a listener becomes one `listening_embedding` of 100 numbers:

1. `log(1 + plays)` for every artist a user has played, so that one obsession does not hide the rest;
2. TF-IDF over artists, so that what everybody plays says little;
3. truncated SVD to 100 dimensions, and unit length.

IDF and SVD are fitted once, on the rows that are there at the beginning, and then frozen: more rows of one user change
that user's embedding and nobody else's. Artists that appear only in later rows say nothing until a new fit.

Waves are made of the log's own rows. Some users begin without part of their rows and get them later, some users arrive
later as a whole, some leave. Users are similar above a cosine of 0.5 here: real tastes are more scattered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consumer.demo.listening_log import Plays, read_log
from consumer.demo.waves import MIXES, Mix, Row, Wave, in_words, share
from schemas.features import Column

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

SIMILARITY_THRESHOLD = 0.5
_WIDTH = 100
GROUP = "lastfm_user_embeddings"
_COLUMN = Column(name="listening_embedding", length=_WIDTH)
COLUMNS: tuple[Column, ...] = (_COLUMN,)

_LATE = 0.4  # share of their artists that users who play more later begin without
_POOL = Mix(changing=0.40, joining=0.16, leaving=0.16)  # how many users have each part to play, over all waves


class LastfmListeners:
    """The users of a listening log. The same file and `seed` give the same story.

    Args:
        path: the log.
        seed: of the draw of who plays more, who arrives and who leaves.

    Raises:
        DemoUsageError: the file is no listening log, or too small a one.
    """

    columns = COLUMNS

    def __init__(self, path: Path, seed: int = 0) -> None:
        log = read_log(path, min_artists=2 * _WIDTH)
        self._name = f"{len(log):,} listeners of {path.name}"
        self._count = len(log)
        draw = np.random.default_rng(seed)
        order = [list(log)[at] for at in draw.permutation(len(log))]
        self._changing, order = _taken(order, share(len(log), _POOL.changing))
        self._joining, order = _taken(order, share(len(log), _POOL.joining))
        self._leaving, _ = _taken(order, share(len(log), _POOL.leaving))
        self._log = log
        self._early = {user: _part_of(log[user], draw) for user in self._changing}
        self._there = [user for user in log if user not in set(self._joining)]
        self._recipe = recipe().fit([_loudness(self._early.get(user, log[user])) for user in self._there])

    @property
    def name(self) -> str:
        """See Listeners."""
        return self._name

    def initial(self) -> Wave:
        """See Listeners."""
        begun = {user: self._early.get(user, self._log[user]) for user in self._there}
        return Wave(f"{len(begun):,} listeners", self._rows(begun), newcomers=len(begun))

    def waves(self) -> Iterator[Wave]:
        """See Listeners. Ends when the log has no held-back rows left and all have left who were to leave."""
        for mix in cycle(MIXES):
            if not (self._changing or self._joining or self._leaving):
                return
            wave = self._next(mix)
            if wave.upserts or wave.deletes:
                yield wave

    def _next(self, mix: Mix) -> Wave:
        more, self._changing = _taken(self._changing, share(self._count, mix.changing))
        new, self._joining = _taken(self._joining, share(self._count, mix.joining))
        gone, self._leaving = _taken(self._leaving, share(self._count, mix.leaving))
        title = in_words(
            (len(more), "listener plays more", "listeners play more"),
            (len(new), "new listener", "new listeners"),
            (len(gone), "listener leaves", "listeners leave"),
        )
        heard = {user: self._log[user] for user in [*more, *new]}
        return Wave(title, self._rows(heard), tuple(gone), newcomers=len(new))

    def _rows(self, plays: dict[str, Plays]) -> dict[str, Row]:
        if not plays:
            return {}
        found = self._recipe.transform([_loudness(mine) for mine in plays.values()]).astype(np.float32)
        return {user: {_COLUMN.name: found[at]} for at, user in enumerate(plays)}


def recipe() -> Pipeline:
    """From `{artist: log(1 + plays)}` of each user to an array (users, 100) of unit rows."""
    from sklearn.decomposition import TruncatedSVD  # here, as this takes a second and most callers want a constant
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer

    return make_pipeline(
        DictVectorizer(), TfidfTransformer(), TruncatedSVD(_WIDTH, random_state=0), Normalizer(copy=False)
    )


def _loudness(plays: Plays) -> dict[str, float]:
    return {artist: math.log1p(count) for artist, count in plays.items()}


def _part_of(plays: Plays, draw: np.random.Generator) -> Plays:
    """What a user begins with: some of the artists, at least one."""
    order = draw.permutation(len(plays))
    kept = set(order[: max(1, round(len(plays) * (1 - _LATE)))].tolist())
    return {artist: count for at, (artist, count) in enumerate(plays.items()) if at in kept}


def _taken(users: Sequence[str], count: int) -> tuple[list[str], list[str]]:
    return list(users[:count]), list(users[count:])
