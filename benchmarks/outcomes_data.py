"""Users with real features and real friendships, and what a model is asked about the held-out ones.

Features are TF-IDF, truncated SVD to 256 numbers, unit length. A fifth of the users is held out by a draw; a friendship
with a held-out end is the test. Strangers are the second ends of all test friendships in another order, so they are
exactly as popular; who is a friend is no stranger. Recall@50 is the mean over held-out users with friends.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.listeners import Listeners, placed
from benchmarks.rows import Setup
from schemas.policies import FitPolicy, Objective
from stores.feature_store import Floats
from trainer.labels.outcomes import Outcomes
from trainer.matrix.embeddings import Rows
from trainer.matrix.split import Part

WIDTH = 256
_NEAREST, _ROUNDS, _GENERATED = 50, 5, 3_000


@dataclass(frozen=True, slots=True)
class Friends:
    """Users in an embedding space with (friendships, 2) rows, each once; row i has features `rows[i]`."""

    users: Listeners
    rows: Floats
    edges: Rows

    @property
    def part(self) -> NDArray[np.int8]:
        """(users,) of the split."""
        return self.users.population.part[: len(self.rows)]

    @property
    def learnable(self) -> Rows:
        """Friendships without a held-out end."""
        found: Rows = self.edges[(self.part[self.edges] != Part.HOLDOUT).all(axis=1)]
        return found

    def outcomes(self, known: NDArray[np.bool_] | None = None, changed: NDArray[np.bool_] | None = None) -> Outcomes:
        """The friendships as positive labels, or the `known` ones; `changed` are those that a cycle has claimed."""
        every = np.ones(len(self.edges), dtype=bool)
        which = every if known is None else known
        pairs = self.edges[which]
        return Outcomes(
            pairs=pairs,
            positive=every[which],
            weight=np.ones(len(pairs), dtype=np.float32),
            part=self.part[pairs].max(axis=1),
            changed=(~every if changed is None else changed)[which],
            directed=False,
        )


@dataclass(frozen=True, slots=True)
class Figures:
    """What a way of scoring comes to on the held-out users."""

    auc: float
    recall: float


def friends(setup: Setup, name: str) -> Friends:
    """`twitch` or `lastfm`, where their files lie beside the listening log, else generated ones; so in a quick run."""
    home = setup.lastfm.parent.parent if setup.lastfm and not setup.quick else None
    made: tuple[str, Floats, Rows]
    if home is not None and name == "twitch" and (home / "twitch_engb" / "edges.csv").exists():
        made = ("Twitch streamers", *_twitch(home / "twitch_engb"))
    elif home is not None and name == "lastfm" and (home / "lastfm" / "user_friends.dat").exists():
        made = ("Last.fm users", *_lastfm(home / "lastfm"))
    else:
        count = setup.size(_GENERATED, 400)
        made = (
            f"{count:,} generated users, {'a quick run' if setup.quick else f'as {name} is not at hand'}",
            *_generated(count),
        )
    (folder := setup.folder / name).mkdir(exist_ok=True)
    policy = FitPolicy(objective=Objective.OUTCOMES)
    return Friends(placed(folder, made[0], made[1], 0.5, policy), made[1], made[2])


def judged(world: Friends, alike: Callable[[Rows, Rows], Floats]) -> Figures:
    """AUC and recall@50 of `alike`, which gives the (users, others) table of how likely two are friends."""
    part, count = world.part, len(world.rows)
    held = np.flatnonzero(part == Part.HOLDOUT)
    table = alike(held, np.arange(count)).copy()
    both = np.concatenate([world.edges, world.edges[:, ::-1]])
    asked = both[part[both[:, 0]] == Part.HOLDOUT]
    at = np.searchsorted(held, asked[:, 0])
    draw, known = np.random.default_rng(0), np.unique(both[:, 0] * count + both[:, 1])
    strangers = []
    for _ in range(_ROUNDS):
        other = draw.permutation(asked[:, 1])
        fine = (other != asked[:, 0]) & ~np.isin(asked[:, 0] * count + other, known)
        strangers.append(table[at[fine], other[fine]])
    own, others = table[at, asked[:, 1]], np.concatenate(strangers)
    table[np.arange(len(held)), held] = -np.inf
    nearest = np.partition(table, -_NEAREST, axis=1)[:, -_NEAREST]
    each = np.bincount(at, own >= nearest[at], len(held)) / np.maximum(np.bincount(at, minlength=len(held)), 1)
    return Figures(_auc(own, others), float(each[np.unique(at)].mean()))


def _auc(own: Floats, others: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(np.repeat([1, 0], [len(own), len(others)]), np.concatenate([own, others])))


def _numbers(user: Rows, feature: Rows, value: NDArray[np.float64]) -> Floats:
    from scipy.sparse import csr_matrix
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer

    counts = TfidfTransformer().fit_transform(csr_matrix((value, (user, feature))))
    rows = TruncatedSVD(WIDTH, random_state=0).fit_transform(counts)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(length, 1e-9), dtype=np.float32)


def _once(edges: Rows) -> Rows:
    edges = np.sort(edges, axis=1)
    return np.asarray(np.unique(edges[edges[:, 0] != edges[:, 1]], axis=0))


def _twitch(folder: Path) -> tuple[Floats, Rows]:
    features = json.loads((folder / "features.json").read_text())
    user = np.repeat([int(one) for one in features], [len(has) for has in features.values()])
    feature = np.concatenate([np.array(has, dtype=np.int64) for has in features.values()])
    edges = np.loadtxt(folder / "edges.csv", delimiter=",", skiprows=1, dtype=np.int64)
    return _numbers(user, feature, np.ones(len(user))), _once(edges)


def _lastfm(folder: Path) -> tuple[Floats, Rows]:
    user, artist, plays = np.loadtxt(folder / "user_artists.dat", skiprows=1).T
    ids, row = np.unique(user, return_inverse=True)
    edges = np.loadtxt(folder / "user_friends.dat", skiprows=1, dtype=np.int64)
    edges = np.searchsorted(ids, edges[np.isin(edges, ids).all(axis=1)])
    return _numbers(row, np.unique(artist, return_inverse=True)[1], np.log1p(plays)), _once(edges)


def _generated(users: int) -> tuple[Floats, Rows]:
    """Users who befriend one another by one of twenty scenes, of which a few of their numbers tell."""
    draw = np.random.default_rng(0)
    scene = draw.integers(20, size=users)
    rows = draw.normal(size=(users, WIDTH))
    rows[:, :20] += 4.0 * np.eye(20)[scene]
    rows[:, 20:40] *= 6.0
    order = np.argsort(scene, kind="stable")
    first = np.repeat(order, 8)
    near = np.searchsorted(scene[order], scene[first]), np.searchsorted(scene[order], scene[first], side="right")
    second = order[draw.integers(*near)]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), _once(np.stack([first, second], axis=1))
