"""How a model does on the dev users while it trains: what chooses the epoch that is kept.

A bounded exam of some dev users against those most like them and some others, none of them held out: pairs labelled
from the directions, and the ten nearest. So a score costs the same with a thousand users and a million. Recall in a
part of the corpus is not the recall of the whole (Krichene and Rendle, KDD 2020); with everybody in it whom a model is
likely to mistake for the nearest, it comes near enough to tell the better of two epochs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.policies import FitPolicy
from trainer.batches import Neighbours
from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.loss import calibrate
from trainer.model import TwoTower

_OTHERS_PER_USER = 8
_NEIGHBOURS = 32  # of each dev user: those among whom a model has to find the ten nearest
_PAIRS_PER_USER = 16
_NEAREST = 10


@dataclass(frozen=True, slots=True)
class DevScore:
    """Balanced pair accuracy, recall@10 in the exam's corpus, and the scale and bias that they stand on."""

    accuracy: float
    recall: float
    scale: float
    bias: float

    @property
    def value(self) -> float:
        """Higher is better: the gate looks at both figures."""
        return self.accuracy + self.recall


@dataclass(frozen=True, slots=True)
class DevExam:
    """Dev users, the users they are compared with, and the truth.

    Attributes:
        queries, corpus: their rows in the user matrix.
        query_directions, corpus_directions: (rows, width).
        left, right, similar: (pairs,) labelled pairs, as positions in `queries` and in `corpus`.
        truth: (queries, k) positions of the k nearest of each query.
    """

    queries: Rows
    corpus: Rows
    query_directions: Floats
    corpus_directions: Floats
    left: Rows
    right: Rows
    similar: NDArray[np.bool_]
    truth: Rows

    def score(self, model: TwoTower) -> DevScore:
        """Of a model, with its scale and bias calibrated on these pairs.

        The middle is moved only where that tells more of them right, which a regression does not always.
        """
        query = np.asarray(model.query(self.query_directions, training=False))
        candidate = np.asarray(model.candidate(self.corpus_directions, training=False))
        product = query @ candidate.T
        cosine = product[self.left, self.right].astype(np.float64)
        scale, bias = model.scale()
        lines = [calibrate(cosine, self.similar, scale, middle=-bias / scale), calibrate(cosine, self.similar, scale)]
        best = max(lines, key=lambda line: self._right(cosine, *line))  # the first of equals
        found = _nearest(product, self.queries, self.corpus)
        recall = (found[:, :, None] == self.truth[:, None, :]).any(axis=2).mean() if found.size else 0.0
        return DevScore(self._right(cosine, *best), float(recall), *best)

    def _right(self, cosine: NDArray[np.float64], scale: float, bias: float) -> float:
        return float(((scale * cosine + bias > 0) == self.similar).mean())


def dev_exam(
    directions: Floats,
    dev: Rows,
    changed: Rows | None,
    pool: Rows,
    neighbours: Neighbours,
    threshold: float,
    negative_ratio: int,
    policy: FitPolicy,
    seed: int,
) -> DevExam | None:
    """An exam, the same for the same arguments; None where these users make no pairs of both kinds.

    Args:
        directions: (capacity, width) the user matrix.
        dev: rows of the dev users; where there are more than `policy.dev_users`, some are drawn.
        changed: rows of which, where given, up to half of the users drawn are.
        pool: rows of all users who are not held out, dev users among them.
        neighbours: similar users, of whom none is held out.
        threshold, negative_ratio: of the pair policy.
        policy: how many dev users at most.
        seed: of what is drawn.
    """
    generator = np.random.default_rng(seed)
    queries = _some(dev, changed, policy.dev_users, generator)
    near = neighbours.first(queries, _NEIGHBOURS)
    others = np.setdiff1d(pool, near, assume_unique=True)
    corpus = np.union1d(near, _draw(others, _OTHERS_PER_USER * policy.dev_users, generator))
    query_directions, corpus_directions = np.asarray(directions[queries]), np.asarray(directions[corpus])
    product = query_directions @ corpus_directions.T
    similar, other = product > threshold, queries[:, None] != corpus
    positive, negative = np.flatnonzero(similar & other), np.flatnonzero(~similar & other)
    positive = _draw(positive, _PAIRS_PER_USER * len(queries), generator)
    negative = _draw(negative, negative_ratio * len(positive), generator)
    if not len(positive) or not len(negative):
        return None
    left, right = np.divmod(np.concatenate([positive, negative]), len(corpus))
    return DevExam(
        queries,
        corpus,
        query_directions,
        corpus_directions,
        left,
        right,
        np.arange(len(left)) < len(positive),
        _nearest(product, queries, corpus),
    )


def _some(dev: Rows, changed: Rows | None, count: int, generator: np.random.Generator) -> Rows:
    fresh = (
        np.empty(0, dtype=np.int64) if changed is None else _draw(np.intersect1d(dev, changed), count // 2, generator)
    )
    others = np.setdiff1d(dev, fresh, assume_unique=True)
    return np.sort(np.concatenate([fresh, _draw(others, count - len(fresh), generator)]))


def _draw(rows: Rows, count: int, generator: np.random.Generator) -> Rows:
    """All of `rows`, or `count` of them."""
    drawn: Rows = rows if len(rows) <= count else generator.choice(rows, count, replace=False, shuffle=False)
    return drawn


def _nearest(product: Floats, queries: Rows, corpus: Rows) -> Rows:
    """(queries, k) positions of the k largest of each row of `product`, nobody being their own neighbour."""
    k = min(_NEAREST, len(corpus) - 1)
    if k <= 0:
        return np.empty((len(queries), 0), dtype=np.int64)
    masked = np.where(queries[:, None] == corpus, -np.inf, product)
    return np.argpartition(masked, -k, axis=1)[:, -k:]
