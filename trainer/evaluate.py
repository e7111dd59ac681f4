"""Scoring a model on users: pair accuracy, AUC, calibration, and recall@10 over the whole corpus.

Every figure comes from the exported path: raw rows through the preprocessing and both towers. Scores of several models
on one `Exam` are made of the same users, pairs and rows, so they may be compared (P4).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from schemas.cycle import Metrics
from schemas.policies import GatePolicy, PairPolicy
from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.model import CANDIDATE, QUERY, TwoTower
from trainer.pairs.negatives import draw_negatives

_NEAREST = 10
_BINS = 10
_BLOCK_BYTES = 2**26  # of similarities at a time


@dataclass(frozen=True, slots=True)
class PairSet:
    """Labelled pairs as rows (pairs, 2), anchor first; `similar` (pairs,) is the label."""

    rows: Rows
    similar: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True)
class Exam:
    """What models are scored on.

    Attributes:
        raw: (capacity, width) raw rows of the user matrix.
        pairs: labelled pairs, each anchored at a held-out user.
        queries: held-out rows whose nearest users are asked for.
        truth: (queries, k) their true k nearest in the corpus, by direction; k is 10, or less in a small corpus.
        corpus: every row that has a direction.
    """

    raw: Floats
    pairs: PairSet
    queries: Rows
    truth: Rows
    corpus: Rows


@dataclass(frozen=True, slots=True)
class Score:
    """A model's figures, and by pair and by query what the gate compares."""

    metrics: Metrics
    right: NDArray[np.bool_]
    recall: NDArray[np.float64]


def labelled_pairs(
    directions: Floats, positives: Rows, anchored: NDArray[np.bool_], pool: Rows, policy: PairPolicy, seed: int
) -> PairSet:
    """The positives with an end that is `anchored` (capacity,), and `negative_ratio` checked negatives for each.

    A pair is turned so that its anchored end comes first. Negatives are partners of that end, drawn from `pool`.
    """
    swap = ~anchored[positives[:, 0]]
    turned = np.where(swap[:, None], positives[:, ::-1], positives)
    turned = turned[anchored[turned[:, 0]]]
    anchors = np.repeat(turned[:, 0], policy.negative_ratio)
    generator = np.random.default_rng(seed)
    negatives = draw_negatives(directions, anchors, pool, policy.similarity_threshold, generator)
    rows = np.concatenate([turned, negatives])
    return PairSet(rows, np.arange(len(rows)) < len(turned))


def prepare_exam(
    raw: Floats,
    directions: Floats,
    positives: Rows,
    holdout: Rows,
    corpus: Rows,
    pairs: PairPolicy,
    gate: GatePolicy,
    seed: int,
) -> Exam:
    """An exam on the `holdout` rows (in the order in which they should be kept when there are too many of them)."""
    examined = holdout[: gate.max_users]
    anchored = np.zeros(len(raw), dtype=bool)
    anchored[examined] = True
    pair_set = labelled_pairs(directions, positives, anchored, corpus, pairs, seed)
    return Exam(raw, pair_set, examined, _nearest(directions[examined], directions[corpus], examined, corpus), corpus)


def score(model: TwoTower, exam: Exam) -> Score:
    """Every figure of `model` on `exam`."""
    query_rows = np.unique(np.concatenate([exam.queries, exam.pairs.rows[:, 0]]))
    queries = model.embed(QUERY, exam.raw[query_rows])
    candidates = model.embed(CANDIDATE, exam.raw[exam.corpus])
    scale, bias = model.scale()

    left = np.searchsorted(query_rows, exam.pairs.rows[:, 0])
    right = np.searchsorted(exam.corpus, exam.pairs.rows[:, 1])
    cosine = np.einsum("ij,ij->i", queries[left], candidates[right]).astype(np.float64)
    probability = _sigmoid(scale * cosine + bias)
    finite = np.isfinite(probability)  # a model that has diverged is wrong everywhere, which is for the gate to say
    probability = np.where(finite, probability, 0.5)
    correct = finite & ((probability > 0.5) == exam.pairs.similar)

    found = _nearest(queries[np.searchsorted(query_rows, exam.queries)], candidates, exam.queries, exam.corpus)
    hits = (found[:, :, None] == exam.truth[:, None, :]).any(axis=2)
    recall = hits.mean(axis=1) if hits.size else np.zeros(len(exam.queries))
    one_label = exam.pairs.similar.all() or not exam.pairs.similar.any()
    metrics = Metrics(
        accuracy=float(correct.mean()) if len(correct) else 0.0,
        auc=None if one_label else float(roc_auc_score(exam.pairs.similar, probability)),
        recall_at_10=float(recall.mean()) if len(recall) else 0.0,
        calibration_error=_calibration_error(probability, exam.pairs.similar),
    )
    return Score(metrics, correct, recall)


def pair_accuracy(model: TwoTower, directions: Floats, pairs: PairSet) -> float:
    """Share of labelled pairs told right, from directions: the quick figure for dev users while training."""
    rows, at = np.unique(pairs.rows, return_inverse=True)
    at = at.reshape(pairs.rows.shape)
    query = np.asarray(model.query(directions[rows], training=False))
    candidate = np.asarray(model.candidate(directions[rows], training=False))
    scale, bias = model.scale()
    logits = scale * np.einsum("ij,ij->i", query[at[:, 0]], candidate[at[:, 1]]) + bias
    return float(((logits > 0) == pairs.similar).mean())


def _nearest(queries: Floats, candidates: Floats, query_rows: Rows, candidate_rows: Rows) -> Rows:
    """(queries, k) rows of the k candidates of largest dot product, nobody being their own neighbour."""
    k = min(_NEAREST, len(candidates) - 1)
    if k <= 0:
        return np.empty((len(queries), 0), dtype=np.int64)
    found = np.empty((len(queries), k), dtype=np.int64)
    size = max(1, _BLOCK_BYTES // (4 * len(candidates)))
    for start in range(0, len(queries), size):
        part = slice(start, start + size)
        product = queries[part] @ candidates.T
        product[query_rows[part, None] == candidate_rows] = -np.inf
        found[part] = candidate_rows[np.argpartition(product, -k, axis=1)[:, -k:]]
    return found


def _calibration_error(probability: NDArray[np.float64], label: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten equal bins (Naeini et al., AAAI 2015)."""
    if not len(label):
        return 0.0
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    weight = np.bincount(bins, minlength=_BINS)
    gap = np.bincount(bins, probability - label, minlength=_BINS)
    return float(np.abs(gap).sum() / weight.sum())


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0))))
