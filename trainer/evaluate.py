"""Scoring a model on users: figures of labelled pairs, and recall@10 over the whole corpus.

Every figure comes from the exported path: raw rows through the preprocessing and both towers. Scores of several models
on one `Exam` are made of the same users, pairs and rows, so they may be compared (P4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import Metrics, Slice, SliceReport
from schemas.policies import PairPolicy
from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.metrics import metrics_of
from trainer.model import CANDIDATE, QUERY, TwoTower
from trainer.pairs.graph import Graph
from trainer.pairs.negatives import draw_negatives
from trainer.retrieval import nearest

_NEAREST = 10
_SIDE_BY_SIDE = 2  # more would have the embeddings of all users by so many models in memory
_ROWS_PER_PASS = 8192


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
    """A model's figures and what they are made of: by pair of the exam, and by query.

    Attributes:
        metrics: over all pairs and queries.
        probability: (pairs,) of being similar; one half where the model gives no number.
        right: (pairs,) whether the pair is told right.
        recall: (queries,) share of the true nearest that are among the nearest by the model.
    """

    metrics: Metrics
    probability: NDArray[np.float64]
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
    raw: Floats, directions: Floats, graph: Graph, examined: Rows, corpus: Rows, policy: PairPolicy, seed: int
) -> Exam:
    """An exam on the `examined` rows: their pairs in the graph, dissimilar pairs, and their nearest in the corpus."""
    anchored = np.zeros(len(raw), dtype=bool)
    anchored[examined] = True
    pair_set = labelled_pairs(directions, graph.pairs(touching=anchored), anchored, corpus, policy, seed)
    return Exam(raw, pair_set, examined, _true_nearest(directions, graph, examined, corpus), corpus)


def score(model: TwoTower, exam: Exam) -> Score:
    """Every figure of `model` on `exam`."""
    queries = embed(model, QUERY, exam.raw, exam.queries)
    candidates = embed(model, CANDIDATE, exam.raw, exam.corpus)
    scale, bias = model.scale()
    probability = _sigmoid(scale * _cosine(queries, candidates, exam.pairs.rows) + bias)
    finite = np.isfinite(probability)  # a model that has diverged is wrong everywhere, which is for the gate to say
    probability = np.where(finite, probability, 0.5)
    right = finite & ((probability > 0.5) == exam.pairs.similar)

    found = nearest(queries, exam.queries, candidates, exam.corpus, _NEAREST)
    hits = (found[:, :, None] == exam.truth[:, None, :]).any(axis=2)
    recall = hits.mean(axis=1) if hits.size else np.zeros(len(exam.queries))
    return Score(metrics_of(exam.pairs.similar, probability, right, recall), probability, right, recall)


def scores(models: Sequence[TwoTower], exam: Exam) -> list[Score]:
    """Every figure of each model on one exam, two at a time: TensorFlow keeps to one core for each."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return list(pool.map(lambda model: score(model, exam), models))


def slice_reports(
    exam: Exam, slices: Mapping[Slice, Rows], challenger: Score, champion: Score | None
) -> dict[Slice, SliceReport]:
    """Both scores told by slice: of exactly the pairs anchored at users in a slice, and their queries."""
    reports = {}
    for name, rows in slices.items():
        queries, pairs = np.isin(exam.queries, rows), np.isin(exam.pairs.rows[:, 0], rows)
        challengers, champions = (
            metrics_of(exam.pairs.similar[pairs], found.probability[pairs], found.right[pairs], found.recall[queries])
            if found is not None and pairs.any()
            else None
            for found in (challenger, champion)
        )
        reports[name] = SliceReport(
            users=int(queries.sum()), pairs=int(pairs.sum()), challenger=challengers, champion=champions
        )
    return reports


def _true_nearest(directions: Floats, graph: Graph, examined: Rows, corpus: Rows) -> Rows:
    """(examined, k) the nearest by direction: from the graph's lists where they are long enough, else by a product."""
    k = min(_NEAREST, len(corpus) - 1)
    truth = graph.nearest(examined, max(k, 0))
    unknown = (truth < 0).any(axis=1)
    truth[unknown] = nearest(directions, examined[unknown], directions, corpus, k)
    return truth


def embed(model: TwoTower, name: str, raw: Floats, rows: Rows) -> Floats:
    """Unit embeddings (len(raw), 128) of `rows` by one tower, as it is exported; the other rows are zero."""
    tower = model.query if name == QUERY else model.candidate
    found = np.zeros((len(raw), tower.output_shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _ROWS_PER_PASS):
        part = rows[start : start + _ROWS_PER_PASS]
        found[part] = tower(model.preprocess(raw[part], training=False), training=False)
    return found


def _cosine(queries: Floats, candidates: Floats, pairs: Rows) -> NDArray[np.float64]:
    """(pairs,) the cosine of each pair of rows; both sides are (capacity, d) unit rows."""
    found = np.empty(len(pairs), dtype=np.float64)
    for start in range(0, len(pairs), _ROWS_PER_PASS):
        part = slice(start, start + _ROWS_PER_PASS)
        found[part] = np.einsum("ij,ij->i", queries[pairs[part, 0]], candidates[pairs[part, 1]])
    return found


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0))))
