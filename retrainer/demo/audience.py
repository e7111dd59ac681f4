"""Generated listeners: a latent-taste model that yields the four columns of the seed's feature group.

Every artist has a genre, a touch of others, a year and a vector of its own. Every listener has a taste over genres and
an era; what they play follows from both and from how popular an artist is. The columns are means over what was played:

- `genre_embedding` (100): of the artists' genre vectors;
- `artist_embedding` (100): of the artists' own vectors, which lean towards their genre;
- `playlist_embedding` (100): the genre vector once more, times how much is kept in playlists, with a little noise;
- `release_year_embedding` (1): the mean release year, raw, near 2000.

With these constants 2,400 users have about twenty similar users each at a cosine of 0.8, and nine in ten have at least
one, so there is something to learn and something to get wrong.

Listeners who follow each other (`following`) belong to scenes as well, whose artists they prefer; artists then have
more of their own and playlists more noise, so that the rows have far more than 128 independent numbers. Some genres are
hardly heard at first: a wave of newcomers brings them, and plays what is new.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from retrainer.demo.following import APPEAL, SCENES, People, new_follows
from retrainer.demo.waves import MIXES, Mix, Row, Wave, in_words, share
from schemas.features import Column, FeatureGroup
from schemas.labels import PairKey

Doubles = NDArray[np.float64]

GROUP = FeatureGroup().name
COLUMNS: tuple[Column, ...] = FeatureGroup().columns
SIMILARITY_THRESHOLD = 0.8
MIN_USERS = 100
"""Fewer have too few similar pairs to judge a model by."""

_WIDTH = 100
_GENRES = 28
_HEYDAY, _LATE_HEYDAY = (1970, 2015), (1985, 2024)  # of genres
_ERA, _LATE_ERA = (1998, 9), (2006, 9)  # of listeners: mean and spread
_ARTISTS = 25  # for each genre
_GENRE_PURITY = 0.85  # how much of an artist is its main genre
_TASTE_CONCENTRATION = 0.15  # of the Dirichlet a taste is drawn from: small means few genres each
_SCENE_CONCENTRATION = 0.08  # of the Dirichlet a belonging is drawn from: most listeners have one scene
_ERA_YEARS = 14.0  # how far from their era, in years, listeners still enjoy an artist
_PLAYS = (80, 400)  # draws of one listener
_FORGETTING = 0.5  # what is left of old plays when a taste has moved on


@dataclass(frozen=True, slots=True)
class _Habits:
    """What differs where listeners follow each other.

    Attributes:
        artist_own: length of an artist's own part beside a genre part of length 1.
        playlist_noise: spread of what a playlist has beside the genre.
        scene_pull: how many times more the artists of one's own scene are played.
        late_genres: genres that hardly anybody likes at the beginning.
    """

    artist_own: float
    playlist_noise: float
    scene_pull: float
    late_genres: int


_ALONE = _Habits(artist_own=0.6, playlist_noise=0.02, scene_pull=0.0, late_genres=0)
_TOGETHER = _Habits(artist_own=1.5, playlist_noise=0.06, scene_pull=25.0, late_genres=28)
STORY = (
    Mix(following=2.0),
    Mix(changing=0.05, joining=0.05, leaving=0.03, following=1.5),
    Mix(following=1.5),
    Mix(joining=0.15, following=1.0, new_genres=True),
)
"""What happens to listeners who follow each other, and again from the start."""


class GeneratedAudience:
    """Listeners with tastes that drift. The same arguments give the same story.

    Args:
        users: how many there are at the beginning, at least `MIN_USERS`.
        seed: of everything that is drawn.
        following: whether they follow each other; the waves are then those of `STORY`.
    """

    columns = COLUMNS

    def __init__(self, users: int, seed: int = 0, *, following: bool = False) -> None:
        if users < MIN_USERS:
            raise ValueError(f"users must be at least {MIN_USERS}, got {users}")
        self._draw = np.random.default_rng(seed)
        self._social = np.random.default_rng([seed, 1])
        self._following = following
        self._habits = _TOGETHER if following else _ALONE
        self._founders = users
        self._invent_artists()
        self._ids: list[str] = []
        self._tastes = np.empty((0, self._mix.shape[1]))
        self._eras = np.empty(0)
        self._keen = np.empty(0)  # how many playlists' worth a listener keeps
        self._plays = np.empty((0, len(self._year)))
        self._scenes = np.empty((0, SCENES))
        self._appeal = np.empty(0)  # how gladly others follow a listener
        self._follows: set[PairKey] = set()
        self._born = 0
        upserts = self._rows(self._join(users))
        self._begin = Wave(f"{users:,} listeners", upserts, newcomers=users, follows=self._follow(0.0, self._ids))

    @property
    def name(self) -> str:
        """See Audience."""
        return f"{self._founders:,} generated listeners"

    def initial(self) -> Wave:
        """See Audience."""
        return self._begin

    def waves(self) -> Iterator[Wave]:
        """See Audience. Never ends."""
        for mix in cycle(STORY if self._following else MIXES):
            yield self.change(mix)

    def change(self, mix: Mix) -> Wave:
        """One wave of changes, in the given shares of those who are there."""
        there = len(self._ids)
        order = self._draw.permutation(there)
        drifters, leavers = np.split(order, [share(there, mix.changing)])
        leavers = leavers[: share(there, mix.leaving)]
        self._drift(drifters)
        newcomers = self._join(share(there, mix.joining), new_genres=mix.new_genres)
        joined = [self._ids[row] for row in newcomers]
        upserts = self._rows(np.concatenate([drifters, newcomers]))
        deletes, unfollows = self._leave(leavers)
        follows = self._follow(mix.following, joined)
        genres = " of new genres" if mix.new_genres and self._habits.late_genres else ""
        title = in_words(
            (len(drifters), "taste drifts", "tastes drift"),
            (len(newcomers), f"new listener{genres}", f"new listeners{genres}"),
            (len(deletes), "listener leaves", "listeners leave"),
            (len(follows), "new follow", "new follows"),
        )
        return Wave(title, upserts, deletes, len(newcomers), follows, unfollows)

    def _invent_artists(self) -> None:
        draw, late = self._draw, self._habits.late_genres
        count = _GENRES + late
        artists = _ARTISTS * count
        genres = _unit(draw.normal(size=(count, _WIDTH)))
        main = draw.integers(count, size=artists)
        self._mix = (1 - _GENRE_PURITY) * draw.dirichlet(np.full(count, 0.3), size=artists)
        self._mix[np.arange(artists), main] += _GENRE_PURITY
        self._genre_of = self._mix @ genres
        own = _unit(draw.normal(size=(artists, _WIDTH)))
        self._artist = _unit(self._genre_of) + self._habits.artist_own * own
        heyday = draw.uniform(*_HEYDAY, size=count)
        heyday[_GENRES:] = self._social.uniform(*_LATE_HEYDAY, size=late)
        self._year = np.clip(heyday[main] + draw.normal(0, 7, size=artists), 1955, 2024)
        self._popularity = draw.lognormal(0, 0.6, size=artists)
        self._scene_of = self._social.integers(SCENES, size=artists)

    def _join(self, count: int, *, new_genres: bool = False) -> NDArray[np.intp]:
        """Add newcomers; returns their rows."""
        first = len(self._ids)
        self._ids += [f"listener-{self._born + number:06d}" for number in range(1, count + 1)]
        self._born += count
        self._tastes = np.concatenate([self._tastes, self._new_tastes(count, new_genres=new_genres)])
        era = _LATE_ERA if new_genres and self._habits.late_genres else _ERA
        self._eras = np.concatenate([self._eras, self._draw.normal(*era, size=count)])
        self._keen = np.concatenate([self._keen, self._draw.uniform(2, 6, size=count)])
        self._plays = np.concatenate([self._plays, np.zeros((count, len(self._year)))])
        scenes = self._social.dirichlet(np.full(SCENES, _SCENE_CONCENTRATION), size=count)
        self._scenes = np.concatenate([self._scenes, scenes])
        self._appeal = np.concatenate([self._appeal, self._social.normal(0, APPEAL, size=count)])
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

    def _leave(self, rows: NDArray[np.intp]) -> tuple[tuple[str, ...], tuple[PairKey, ...]]:
        """Remove listeners; returns their ids, and the follows that go with them. Rows after theirs move up."""
        gone = set(rows.tolist())
        leaving = tuple(self._ids[row] for row in sorted(gone))
        self._ids = [user for row, user in enumerate(self._ids) if row not in gone]
        for name in ("_tastes", "_eras", "_keen", "_plays", "_scenes", "_appeal"):
            setattr(self, name, np.delete(getattr(self, name), rows, axis=0))
        left = set(leaving)
        ended = {pair for pair in self._follows if not left.isdisjoint(pair)}
        self._follows -= ended
        return leaving, tuple(sorted(ended))

    def _follow(self, each: float, joined: Sequence[str]) -> tuple[PairKey, ...]:
        """Let everybody follow some more, and those who joined their first; returns the new follows."""
        if not self._following:
            return ()
        row_of = {user: row for row, user in enumerate(self._ids)}
        counts = self._social.poisson(each, size=len(self._ids))
        counts[[row_of[user] for user in joined]] += 1
        people = People(self._scenes, self._tastes, self._eras, self._appeal)
        known = [(row_of[one], row_of[other]) for one, other in sorted(self._follows)]
        chosen = new_follows(people, np.flatnonzero(counts), counts[counts > 0], known, self._social)
        follows = tuple((self._ids[one], self._ids[other]) for one, other in chosen)
        self._follows.update(follows)
        return follows

    def _new_tastes(self, count: int, *, new_genres: bool = False) -> Doubles:
        """Over the genres that everybody knows, or over the others alone."""
        known, late = _GENRES, self._habits.late_genres
        tastes = np.zeros((count, known + late))
        if new_genres and late:
            tastes[:, known:] = self._draw.dirichlet(np.full(late, _TASTE_CONCENTRATION), size=count)
        else:
            tastes[:, :known] = self._draw.dirichlet(np.full(known, _TASTE_CONCENTRATION), size=count)
        return tastes

    def _listen(self, rows: NDArray[np.intp]) -> None:
        distance = (self._year - self._eras[rows, None]) / _ERA_YEARS
        liking = (self._tastes[rows] @ self._mix.T) * self._popularity * np.exp(-0.5 * distance**2)
        liking *= 1 + self._habits.scene_pull * self._scenes[rows][:, self._scene_of]
        odds = liking / liking.sum(axis=1, keepdims=True)
        self._plays[rows] += self._draw.multinomial(self._draw.integers(*_PLAYS, size=len(rows)), odds)

    def _rows(self, rows: NDArray[np.intp]) -> dict[str, Row]:
        """The feature rows of some listeners, by id."""
        weight = self._plays[rows] / self._plays[rows].sum(axis=1, keepdims=True)
        genre, noise = weight @ self._genre_of, self._habits.playlist_noise
        values = {
            "genre_embedding": genre,
            "artist_embedding": weight @ self._artist,
            "playlist_embedding": genre * self._keen[rows, None] + self._draw.normal(0, noise, size=genre.shape),
            "release_year_embedding": (weight @ self._year)[:, None],
        }
        ready = {name: block.astype(np.float32) for name, block in values.items()}
        return {self._ids[row]: {name: ready[name][at] for name in ready} for at, row in enumerate(rows)}


def _unit(rows: Doubles) -> Doubles:
    unit: Doubles = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit
