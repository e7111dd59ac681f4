"""The score of a model on the dev users during a fit: it chooses the weights that are kept, and their line.

The exam is bounded: some dev users against their nearest users and some others, none of them held out. Each pair is
weighted by the number of pairs (dev user, any user not held out) that it stands for. So figures and calibration are
those of all pairs in their true proportion, and a score costs the same with a thousand users and a million. Recall in a
part of the corpus is not recall in the whole (Krichene and Rendle, KDD 2020); but the part has all users that a model
is likely to mistake for the nearest, so it is near enough to find the better of two epochs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.policies import FitPolicy
from stores.feature_store import Floats
from trainer.exam.retrieval import nearest
from trainer.learning.cosine_histogram import Change, CosineHistogram, Doubles, Figures, Line
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower

_OTHERS_PER_USER = 8
_NEIGHBOURS = 32  # of each dev user in the corpus, where a model has to find the ten nearest
_NEAREST = 10
_GROUPS = 16  # left out in turn, of changed users and of others
_TIE = 1e-6  # counts as near as the tenth
_LEAST_GAIN = 1e-3  # of the value; a smaller gain is not worth a version
_CERTAIN = 2.0  # standard errors that a gain has to exceed
_TRIFLES = np.array([5e-4, 5e-4, 5e-4, 5e-4, 5e-4, 5e-3, 5e-4])  # that a figure may lose beyond its error

_NOBODY = Line(1.0, -2.0)  # of a diverged model: it calls no pair similar


@dataclass(frozen=True, slots=True)
class ValidationScore:
    """A model's cosines on the exam, its line, and the figures at that line."""

    histogram: CosineHistogram
    line: Line
    figures: Figures


@dataclass(frozen=True, slots=True)
class ValidationExam:
    """Dev users, a corpus, and the right answers.

    Attributes:
        queries, corpus: their rows in the user matrix.
        query_directions, corpus_directions: (rows, width).
        similar: (queries, corpus) the label of each pair.
        weight: (queries, corpus) number of pairs that each stands for; 0 for a user with itself.
        asked: (queries,) number of dev users that each stands for.
        hard: positions of the dissimilar pairs nearest to the threshold, half as many as a user has similar ones.
        near: (queries, corpus) whether as near as the tenth nearest.
        group: (queries,) group, for the errors of figures; groups of changed users come last.
        others: (groups,) which groups are of unchanged users.
    """

    queries: Rows
    corpus: Rows
    query_directions: Floats
    corpus_directions: Floats
    similar: NDArray[np.bool_]
    weight: Doubles
    asked: Doubles
    hard: tuple[Rows, Rows]
    near: NDArray[np.bool_]
    group: Rows
    others: NDArray[np.bool_]

    def score(
        self, model: TwoTower, against: ValidationScore | None = None, *, own_line: bool = False
    ) -> ValidationScore:
        """The score of a model at its own line, or at a line fitted to these pairs (`CosineHistogram.line`)."""
        query = np.asarray(model.query(self.query_directions, training=False))
        candidate = np.asarray(model.candidate(self.corpus_directions, training=False))
        cosine = query @ candidate.T
        line = Line(*model.scale())
        if not np.isfinite(line.middle):
            line = _NOBODY
        histogram = CosineHistogram.of(
            cosine,
            self.similar,
            self.weight,
            self.hard,
            self.asked * self._found(cosine),
            self.asked,
            self.group,
            line.middle,
        )
        if not own_line:
            line = histogram.line(line, against.figures if against else None)
        return ValidationScore(histogram, line, histogram.figures(line))

    def better(self, one: ValidationScore, other: ValidationScore) -> bool:
        """Whether one model is certainly better than the other by more than a trifle, and in no figure certainly worse.

        The figures are those over all users, and those over unchanged users.
        """
        change = Change.between((one.histogram, one.line), (other.histogram, other.line))
        if change.gain[-1] <= max(_LEAST_GAIN, _CERTAIN * change.error[-1]):
            return False
        changes = [change]
        if 1 < self.others.sum() < len(self.others):
            changes.append(Change.between((one.histogram, one.line), (other.histogram, other.line), self.others))
        return all(bool((each.gain >= -each.error - _TRIFLES).all()) for each in changes)

    def _found(self, cosine: Floats) -> Doubles:
        """(queries,) share of the model's nearest that are among the true nearest."""
        k = min(_NEAREST, len(self.corpus) - 1)
        masked = np.where(self.weight > 0, np.nan_to_num(cosine, nan=-2.0), -3.0)
        top = np.argpartition(masked, -k, axis=1)[:, -k:]
        found: Doubles = np.take_along_axis(self.near, top, axis=1).mean(axis=1)
        return found


def validation_exam(
    directions: Floats,
    dev: Rows,
    changed: Rows | None,
    pool: Rows,
    threshold: float,
    policy: FitPolicy,
    seed: int,
) -> ValidationExam | None:
    """An exam, the same for the same arguments; None where the users do not have pairs of both labels.

    Args:
        directions: (capacity, width) the user matrix.
        dev: rows of the dev users; of more than `policy.dev_users` a sample is drawn.
        changed: changed rows, if given; up to half of the sample is changed users, weighted to their true share.
        pool: rows of all users who are not held out, dev users included.
        threshold: of the pair policy.
        policy: the largest number of dev users.
        seed: of all draws.
    """
    generator = np.random.default_rng(seed)
    is_moved = np.zeros(len(dev), dtype=bool) if changed is None else np.isin(dev, changed)
    moved, still = dev[is_moved], dev[~is_moved]
    fresh = _draw(moved, policy.dev_users // 2, generator)
    old = _draw(still, policy.dev_users - len(fresh), generator)
    queries = np.concatenate([old, fresh])
    if len(queries) < 2 or len(pool) < 2:
        return None
    is_near = np.isin(pool, nearest(directions, queries, directions, pool, _NEIGHBOURS))
    near, others = pool[is_near], pool[~is_near]
    drawn = _draw(others, _OTHERS_PER_USER * policy.dev_users, generator)
    corpus = np.concatenate([near, drawn])
    asked = np.repeat([len(still) / max(len(old), 1), len(moved) / max(len(fresh), 1)], [len(old), len(fresh)])
    stands_for = np.repeat([1.0, len(others) / max(len(drawn), 1)], [len(near), len(drawn)])
    query_directions, corpus_directions = np.asarray(directions[queries]), np.asarray(directions[corpus])
    truth = query_directions @ corpus_directions.T
    other = queries[:, None] != corpus
    similar = (truth > threshold) & other
    if not similar.any() or not (~similar & other).any():
        return None
    groups = [_groups(len(old)), _groups(len(fresh))]
    return ValidationExam(
        queries,
        corpus,
        query_directions,
        corpus_directions,
        similar,
        asked[:, None] * stands_for * other,
        asked,
        _hardest(np.where(similar | ~other, -np.inf, truth), similar.sum(axis=1)),
        _as_near(np.where(other, truth, -np.inf)),
        np.concatenate([groups[0], groups[1] + groups[0].max(initial=-1) + 1]),
        np.repeat([True, False], [groups[0].max(initial=-1) + 1, groups[1].max(initial=-1) + 1]),
    )


def _draw(rows: Rows, count: int, generator: np.random.Generator) -> Rows:
    """All of `rows`, or `count` of them, in their order."""
    return rows if len(rows) <= count else rows[np.sort(generator.choice(len(rows), count, replace=False))]


def _groups(count: int) -> Rows:
    return np.arange(count) % max(1, min(_GROUPS, count))


def _hardest(dissimilar: Floats, similar: Rows) -> tuple[Rows, Rows]:
    """Positions of the largest in each row of `dissimilar` (queries, corpus), half as many as `similar` says."""
    wanted = np.minimum((similar + 1) // 2, _NEIGHBOURS)
    most = min(int(wanted.max()), dissimilar.shape[1])
    top = np.argsort(-dissimilar, axis=1, kind="stable")[:, :most]
    some = (np.arange(most) < wanted[:, None]) & np.isfinite(np.take_along_axis(dissimilar, top, axis=1))
    return np.nonzero(some)[0], top[some]


def _as_near(truth: Floats) -> NDArray[np.bool_]:
    """(queries, corpus) whether at least as near as the tenth nearest of the query."""
    k = min(_NEAREST, truth.shape[1] - 1)
    tenth = -np.partition(-truth, k - 1, axis=1)[:, k - 1]
    near: NDArray[np.bool_] = truth >= tenth[:, None] - _TIE
    return near
