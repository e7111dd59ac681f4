"""Real listeners, from a Last.fm listening log: user, artist, plays, tab-separated.

How a listener becomes one `listening_embedding` of 100 numbers:

1. `log(1 + plays)` for every artist a user has played, so that one obsession does not hide the rest;
2. TF-IDF over artists, so that what everybody plays says little;
3. truncated SVD to 100 dimensions, and unit length.

IDF and SVD are fitted once, on the rows that are there at the beginning, and then frozen: more rows of one user change
that user's embedding and nobody else's. Artists that appear only in later rows say nothing until a new fit.

Waves are made of the log's own rows. Some users begin without part of their rows and get them later, some users arrive
later as a whole, some leave. Users are similar above a cosine of 0.5 here: real tastes are more scattered. Where a file
of friends lies beside the log, two friends follow each other: some from the beginning, the others later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from retrainer.demo.friends import read_friends
from retrainer.demo.listening_log import Plays, read_log
from retrainer.demo.waves import MIXES, Mix, Row, Wave, in_words, share
from schemas.features import Column
from schemas.labels import PairKey

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

SIMILARITY_THRESHOLD = 0.5
_WIDTH = 100
GROUP = "lastfm_user_embeddings"
_COLUMN = Column(name="listening_embedding", length=_WIDTH)
COLUMNS: tuple[Column, ...] = (_COLUMN,)

_LATE = 0.4  # share of their artists that users who play more later begin without
_EARLY_FRIENDS = 0.4  # share of the friendships that are there at the beginning
_MORE_FRIENDS = 0.15  # share that begins in each wave
_POOL = Mix(changing=0.40, joining=0.16, leaving=0.16)  # how many users have each part to play, over all waves


class LastfmAudience:
    """The users of a listening log. The same file and `seed` give the same story.

    Args:
        path: the log.
        seed: of the draw of who plays more, who arrives and who leaves, and which friends find each other late.
        friends: the file of friendships, if there is one.

    Raises:
        DemoUsageError: a file is not what it should be, or too small.
    """

    columns = COLUMNS

    def __init__(self, path: Path, seed: int = 0, friends: Path | None = None) -> None:
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
        self._here = set(self._there)
        known = [] if friends is None else [pair for pair in read_friends(friends) if log.keys() >= set(pair)]
        self._strangers = [known[at] for at in draw.permutation(len(known))]
        self._follows = self._befriended(share(len(known), _EARLY_FRIENDS))
        self._begun = tuple(self._follows)
        self._each = share(len(known), _MORE_FRIENDS)

    @property
    def name(self) -> str:
        """See Audience."""
        return self._name

    def initial(self) -> Wave:
        """See Audience."""
        begun = {user: self._early.get(user, self._log[user]) for user in self._there}
        return Wave(f"{len(begun):,} listeners", self._rows(begun), newcomers=len(begun), follows=self._begun)

    def waves(self) -> Iterator[Wave]:
        """See Audience. Ends when the log has no held-back rows left and all have left who were to leave."""
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
        self._here = (self._here | set(new)) - set(gone)
        ended = tuple(pair for pair in self._follows if not self._here.issuperset(pair))
        follows = self._befriended(self._each)
        self._follows = [*(pair for pair in self._follows if self._here.issuperset(pair)), *follows]
        title = in_words(
            (len(more), "listener plays more", "listeners play more"),
            (len(new), "new listener", "new listeners"),
            (len(gone), "listener leaves", "listeners leave"),
            (len(follows), "new friendship", "new friendships"),
        )
        heard = {user: self._log[user] for user in [*more, *new]}
        return Wave(title, self._rows(heard), tuple(gone), len(new), tuple(follows), ended)

    def _befriended(self, count: int) -> list[PairKey]:
        """So many of those who are here and have not found each other yet, if there are."""
        found = [pair for pair in self._strangers if self._here.issuperset(pair)][:count]
        taken = set(found)
        self._strangers = [pair for pair in self._strangers if pair not in taken]
        return found

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
