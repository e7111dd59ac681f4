"""Generated listeners: a latent-taste model that yields the four columns of the seed's feature group.

Every artist has a genre, a touch of others, a year and a vector of its own. Every listener has a taste over genres and
an era; what they play follows from both and from how popular an artist is. The columns are means over what was played:

- `genre_embedding` (100): of the artists' genre vectors;
- `artist_embedding` (100): of the artists' own vectors, which lean towards their genre;
- `playlist_embedding` (100): the genre vector once more, times how much is kept in playlists, with a little noise;
- `release_year_embedding` (1): the mean release year, raw, near 2000.

With these constants 2,400 users have about twenty similar users each at a cosine of 0.8, and nine in ten have at least
one, so there is something to learn and something to get wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from consumer.demo.waves import MIXES, Mix, Row, Wave, in_words, share
from schemas.features import Column, FeatureGroup

Doubles = NDArray[np.float64]

GROUP = FeatureGroup().name
COLUMNS: tuple[Column, ...] = FeatureGroup().columns
SIMILARITY_THRESHOLD = 0.8
MIN_USERS = 100
"""Fewer have too few similar pairs to judge a model by."""

_WIDTH = 100
_GENRES = 28
_ARTISTS = 700
_GENRE_PURITY = 0.85  # how much of an artist is its main genre
_ARTIST_OWN = 0.6  # length of an artist's own part beside a genre part of length 1
_TASTE_CONCENTRATION = 0.15  # of the Dirichlet a taste is drawn from: small means few genres each
_ERA_YEARS = 14.0  # how far from their era, in years, listeners still enjoy an artist
_PLAYS = (80, 400)  # draws of one listener
_FORGETTING = 0.5  # what is left of old plays when a taste has moved on


class GeneratedListeners:
    """Listeners with tastes that drift. The same `users` and `seed` give the same story.

    Args:
        users: how many there are at the beginning, at least `MIN_USERS`.
        seed: of everything that is drawn.
    """

    columns = COLUMNS

    def __init__(self, users: int, seed: int = 0) -> None:
        if users < MIN_USERS:
            raise ValueError(f"users must be at least {MIN_USERS}, got {users}")
        self._draw = np.random.default_rng(seed)
        self._founders = users
        self._invent_artists()
        self._ids: list[str] = []
        self._tastes = np.empty((0, _GENRES))
        self._eras = np.empty(0)
        self._keen = np.empty(0)  # how many playlists' worth a listener keeps
        self._plays = np.empty((0, _ARTISTS))
        self._born = 0
        self._begin = Wave(f"{users:,} listeners", self._rows(self._join(users)), newcomers=users)

    @property
    def name(self) -> str:
        """See Listeners."""
        return f"{self._founders:,} generated listeners"

    def initial(self) -> Wave:
        """See Listeners."""
        return self._begin

    def waves(self) -> Iterator[Wave]:
        """See Listeners. Never ends."""
        for mix in cycle(MIXES):
            yield self.change(mix)

    def change(self, mix: Mix) -> Wave:
        """One wave of changes, in the given shares of those who are there."""
        there = len(self._ids)
        order = self._draw.permutation(there)
        drifters, leavers = np.split(order, [share(there, mix.changing)])
        leavers = leavers[: share(there, mix.leaving)]
        self._drift(drifters)
        newcomers = self._join(share(there, mix.joining))
        upserts = self._rows(np.concatenate([drifters, newcomers]))
        deletes = self._leave(leavers)
        title = in_words(
            (len(drifters), "taste drifts", "tastes drift"),
            (len(newcomers), "new listener", "new listeners"),
            (len(deletes), "listener leaves", "listeners leave"),
        )
        return Wave(title, upserts, deletes, newcomers=len(newcomers))

    def _invent_artists(self) -> None:
        draw = self._draw
        genres = _unit(draw.normal(size=(_GENRES, _WIDTH)))
        main = draw.integers(_GENRES, size=_ARTISTS)
        self._mix = (1 - _GENRE_PURITY) * draw.dirichlet(np.full(_GENRES, 0.3), size=_ARTISTS)
        self._mix[np.arange(_ARTISTS), main] += _GENRE_PURITY
        self._genre_of = self._mix @ genres
        self._artist = _unit(self._genre_of) + _ARTIST_OWN * _unit(draw.normal(size=(_ARTISTS, _WIDTH)))
        heyday = draw.uniform(1970, 2015, size=_GENRES)
        self._year = np.clip(heyday[main] + draw.normal(0, 7, size=_ARTISTS), 1955, 2024)
        self._popularity = draw.lognormal(0, 0.6, size=_ARTISTS)

    def _join(self, count: int) -> NDArray[np.intp]:
        """Add newcomers; returns their rows."""
        first = len(self._ids)
        self._ids += [f"listener-{self._born + number:06d}" for number in range(1, count + 1)]
        self._born += count
        self._tastes = np.concatenate([self._tastes, self._new_tastes(count)])
        self._eras = np.concatenate([self._eras, self._draw.normal(1998, 9, size=count)])
        self._keen = np.concatenate([self._keen, self._draw.uniform(2, 6, size=count)])
        self._plays = np.concatenate([self._plays, np.zeros((count, _ARTISTS))])
        rows = np.arange(first, first + count)
        self._listen(rows)
        return rows

    def _drift(self, rows: NDArray[np.intp]) -> None:
        """Move tastes towards new ones, forget some of the old plays, and listen again."""
        step = self._draw.uniform(0.3, 0.8, size=(len(rows), 1))
        self._tastes[rows] = (1 - step) * self._tastes[rows] + step * self._new_tastes(len(rows))
        self._eras[rows] += self._draw.normal(0, 4, size=len(rows))
        self._plays[rows] *= _FORGETTING
        self._listen(rows)

    def _leave(self, rows: NDArray[np.intp]) -> tuple[str, ...]:
        """Remove listeners; returns their ids. Rows after theirs move up."""
        gone = set(rows.tolist())
        leaving = tuple(self._ids[row] for row in sorted(gone))
        self._ids = [user for row, user in enumerate(self._ids) if row not in gone]
        self._tastes = np.delete(self._tastes, rows, axis=0)
        self._eras = np.delete(self._eras, rows)
        self._keen = np.delete(self._keen, rows)
        self._plays = np.delete(self._plays, rows, axis=0)
        return leaving

    def _new_tastes(self, count: int) -> Doubles:
        return self._draw.dirichlet(np.full(_GENRES, _TASTE_CONCENTRATION), size=count)

    def _listen(self, rows: NDArray[np.intp]) -> None:
        distance = (self._year - self._eras[rows, None]) / _ERA_YEARS
        liking = (self._tastes[rows] @ self._mix.T) * self._popularity * np.exp(-0.5 * distance**2)
        odds = liking / liking.sum(axis=1, keepdims=True)
        self._plays[rows] += self._draw.multinomial(self._draw.integers(*_PLAYS, size=len(rows)), odds)

    def _rows(self, rows: NDArray[np.intp]) -> dict[str, Row]:
        """The feature rows of some listeners, by id."""
        weight = self._plays[rows] / self._plays[rows].sum(axis=1, keepdims=True)
        genre = weight @ self._genre_of
        values = {
            "genre_embedding": genre,
            "artist_embedding": weight @ self._artist,
            "playlist_embedding": genre * self._keen[rows, None] + self._draw.normal(0, 0.02, size=genre.shape),
            "release_year_embedding": (weight @ self._year)[:, None],
        }
        ready = {name: block.astype(np.float32) for name, block in values.items()}
        return {self._ids[row]: {name: ready[name][at] for name in ready} for at, row in enumerate(rows)}


def _unit(rows: Doubles) -> Doubles:
    unit: Doubles = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
