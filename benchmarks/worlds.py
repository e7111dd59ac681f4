"""Drifting worlds: users whose rows change in waves, each in a way of its own that a model has to keep up with.

Every world begins with some users and then gives one wave after another; the same arguments give the same story.

    steady           everywhere in 300 independent numbers; a share of the users is drawn again around the same centres
    directions_60    newcomers in 60 numbers beside the 60 that earlier users have: the towers could hold all 120
    directions_100   the same with 100 beside 100, more together than the towers hold
    directions_130   the same with 130 beside 130, either more than the towers' 128 numbers hold
    rotation         an upstream model moves everybody's row a little, by the same small rotation each time
    scalar           generated listeners whose release year rises by one standard deviation a wave, for everybody
    genres           generated listeners, joined by others of genres and artists that the first do not know
    reembedded       steady, but half-way an upstream model gives everybody a row in other coordinates, and announces it
    reembedded_quietly   the same, announcing no more users than in any other wave

The vector worlds have hierarchical centres: users near a sub-centre near a centre, some of them nowhere, so that pairs
lie on both sides of a cosine of 0.8 and close to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from retrainer.demo.audience import COLUMNS, GeneratedAudience
from retrainer.demo.waves import Row
from schemas.features import Column, FeatureGroup
from stores.feature_store import Floats

WIDTH = 300
_VECTORS = FeatureGroup(name="drifting_users", columns=(Column(name="embedding", length=WIDTH),))
_LISTENERS = FeatureGroup(name="drifting_listeners", columns=COLUMNS)
_YEAR = "release_year_embedding"
_CENTRES, _PARTS, _APART = 40, 4, 0.55  # centres, sub-centres of each, and how far these lie from it
_AWAY = (0.2, 0.6)  # of a user from its sub-centre
_ALONE = 0.15  # share of users who are near no centre
_TURN = 0.2  # radians, the widest angle of one wave's rotation


@dataclass(frozen=True, slots=True)
class Wave:
    """What one wave writes to the feature store, and whom its events name."""

    rows: dict[str, Row]
    announced: tuple[str, ...]
    """Users with a change event; where they are fewer than `rows`, the others change unannounced."""


@dataclass(frozen=True, slots=True)
class DriftingWorld:
    """A beginning and what happens then.

    Attributes:
        name: as in `WORLDS`.
        group: the feature group of all rows.
        initial: the first users.
        waves: in order; they can be gone through once.
    """

    name: str
    group: FeatureGroup
    initial: dict[str, Row]
    waves: Iterator[Wave]


class Centres:
    """Hierarchical centres in the span of `basis` (numbers, WIDTH), and users around them."""

    def __init__(self, basis: Floats, draw: np.random.Generator, centres: int = _CENTRES) -> None:
        numbers = len(basis)
        self._basis, self._draw = basis, draw
        middle = unit(draw.normal(size=(centres, numbers)))
        parts = middle[:, None] + _APART * unit(draw.normal(size=(centres, _PARTS, numbers)))
        self._centres = unit(parts).reshape(-1, numbers)

    def users(self, count: int) -> Floats:
        """(count, WIDTH) rows of users, near unit length and not normalised."""
        draw, numbers = self._draw, self._centres.shape[1]
        near = self._centres[draw.integers(len(self._centres), size=count)]
        rows = near + draw.uniform(*_AWAY, size=(count, 1)) * unit(draw.normal(size=(count, numbers)))
        alone = draw.random(count) < _ALONE
        rows[alone] = unit(draw.normal(size=(int(alone.sum()), numbers)))
        return np.asarray(rows @ self._basis, dtype=np.float32)


def steady(users: int, waves: int, share: float, seed: int, name: str = "steady") -> DriftingWorld:
    """A share of the users moves elsewhere among the same centres, which span all numbers."""
    draw = np.random.default_rng(seed)
    centres = Centres(np.eye(WIDTH, dtype=np.float32), draw, centres=60)
    initial = _vectors(_ids("u", users), centres.users(users))

    def each_wave() -> Iterator[Wave]:
        for _ in range(waves):
            yield _announced(_vectors(_some(users, share, draw), centres.users(int(users * share))))

    return DriftingWorld(name, _VECTORS, initial, each_wave())


def new_directions(users: int, waves: int, share: float, seed: int, numbers: int) -> DriftingWorld:
    """Newcomers lie in `numbers` directions that are at right angles to the `numbers` of the first users."""
    draw = np.random.default_rng(seed)
    axes = _rotation(draw)
    old, new = Centres(axes[:numbers], draw), Centres(axes[numbers : 2 * numbers], draw)
    initial, each = _vectors(_ids("u", users), old.users(users)), int(users * share)

    def each_wave() -> Iterator[Wave]:
        for wave in range(waves):
            yield _announced(_vectors(_ids(f"n{wave}-", each), new.users(each)))

    return DriftingWorld(f"directions_{numbers}", _VECTORS, initial, each_wave())


def rotation(users: int, waves: int, share: float, seed: int) -> DriftingWorld:
    """Everybody's row is turned by one small rotation each wave; `share` plays no part."""
    from scipy.linalg import expm

    del share
    draw = np.random.default_rng(seed)
    rows = Centres(_rotation(draw)[:100], draw).users(users)
    plane = draw.normal(size=(WIDTH, WIDTH))
    plane -= plane.T
    turn = expm(_TURN * plane / np.linalg.norm(plane, 2)).astype(np.float32)
    names = _ids("u", users)

    def each_wave() -> Iterator[Wave]:
        now = rows
        for _ in range(waves):
            now = now @ turn
            yield _announced(_vectors(names, now))

    return DriftingWorld("rotation", _VECTORS, _vectors(names, rows), each_wave())


def scalar(users: int, waves: int, share: float, seed: int) -> DriftingWorld:
    """Everybody's release year rises by a standard deviation a wave, as a clock does; `share` plays no part."""
    del share
    initial = dict(GeneratedAudience(users, seed=seed).initial().upserts)
    step = np.float32(np.std([row[_YEAR][0] for row in initial.values()]))

    def each_wave() -> Iterator[Wave]:
        for wave in range(1, waves + 1):
            yield _announced({user: {**row, _YEAR: row[_YEAR] + wave * step} for user, row in initial.items()})

    return DriftingWorld("scalar", _LISTENERS, initial, each_wave())


def genres(users: int, waves: int, share: float, seed: int) -> DriftingWorld:
    """Listeners of another seed join: their genres and artists are others."""
    initial, each = dict(GeneratedAudience(users, seed=seed).initial().upserts), int(users * share)
    joining = iter(GeneratedAudience(max(100, each * waves), seed=seed + 1).initial().upserts.values())

    def each_wave() -> Iterator[Wave]:
        for wave in range(waves):
            yield _announced({user: next(joining) for user in _ids(f"n{wave}-", each)})

    return DriftingWorld("genres", _LISTENERS, initial, each_wave())


def reembedded(users: int, waves: int, share: float, seed: int, *, quietly: bool = False) -> DriftingWorld:
    """Steady, until half-way all rows are in other coordinates, and stay so."""
    name = "reembedded_quietly" if quietly else "reembedded"
    before = steady(users, waves, share, seed, name)
    turn = _rotation(np.random.default_rng(seed + 1))
    now = dict(before.initial)

    def each_wave() -> Iterator[Wave]:
        for number, wave in enumerate(before.waves):
            now.update(wave.rows)
            turned = number >= waves // 2
            written = now if turned and number == waves // 2 else wave.rows
            rows = {user: {"embedding": row["embedding"] @ turn} if turned else row for user, row in written.items()}
            yield Wave(rows, wave.announced if quietly else tuple(rows))

    return DriftingWorld(name, _VECTORS, before.initial, each_wave())


WORLDS: dict[str, Callable[[int, int, float, int], DriftingWorld]] = {
    "steady": steady,
    "directions_60": partial(new_directions, numbers=60),
    "directions_100": partial(new_directions, numbers=100),
    "directions_130": partial(new_directions, numbers=130),
    "rotation": rotation,
    "scalar": scalar,
    "genres": genres,
    "reembedded": reembedded,
    "reembedded_quietly": partial(reembedded, quietly=True),
}
"""Each by (users, waves, share of the users that a wave changes or adds, seed)."""


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rows along the last axis, each brought to unit length."""
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))


def _announced(rows: dict[str, Row]) -> Wave:
    return Wave(rows, tuple(rows))


def _vectors(ids: list[str], rows: Floats) -> dict[str, Row]:
    return {user: {"embedding": row} for user, row in zip(ids, rows, strict=True)}


def _ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def _some(users: int, share: float, draw: np.random.Generator) -> list[str]:
    return [f"u{number}" for number in draw.choice(users, int(users * share), replace=False)]


def _rotation(draw: np.random.Generator) -> Floats:
    return np.asarray(np.linalg.qr(draw.normal(size=(WIDTH, WIDTH)))[0], dtype=np.float32)
