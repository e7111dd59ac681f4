"""Scores a model on an exam: all pairs of the held-out users, a balanced sample, their nearest users, and outcomes.

Every figure uses the exported path: raw rows through the preprocessing and both towers. Scores of several models on one
`Exam` are over the same users, pairs and rows, so they are comparable (P4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import Metrics, Slice, SliceReport
from stores.feature_store import Floats
from trainer.exam.answers import Answers
from trainer.exam.exam import Exam
from trainer.exam.metrics import metrics_of
from trainer.exam.outcome_answers import OutcomeAnswers, answer
from trainer.exam.outcome_exam import OutcomeExam
from trainer.exam.retrieval import Best, product
from trainer.matrix.cosines import pair_cosines, sigmoid
from trainer.matrix.embeddings import Rows
from trainer.model import CANDIDATE, QUERY, TwoTower
from trainer.pairs.similarity import similarity

_SIDE_BY_SIDE = 2  # models at a time: each has the embeddings of all users in memory
_ROWS_PER_PASS = 8192
_BINS = 512  # of the ranking of all pairs, each with as many similar or nearly similar pairs of the sample
_LOWEST = 0.0005  # share of the sampled similar pairs that lie below all bins
_ORDINARY = 0.45  # quantile of the sampled dissimilar pairs: half are the nearest, and a tenth of the others lies above
_CELLS = 2**16  # a cosine finds its bin through a table of so many cells
_TENTHS = 10
_LEAST_CLAIM = 0.1  # probability from which on calibration is judged
_SAME = 1e-5  # similarities that differ by less are the same: rounding


@dataclass(frozen=True, slots=True)
class Score:
    """A model's figures, and the sums behind them.

    Attributes:
        metrics: of all held-out users.
        answers: sums by query of the exam.
        probability: (pairs,) of similarity, for the sampled pairs; one half where the model gives no number.
        outcomes: sums by user in the exam by outcomes, if there is one.
        cosine: (pairs,) of the sampled pairs, not finite where the model gives no number; None of a simulation.
        best: the nearest of each query by the model; None of a simulation.
    """

    metrics: Metrics
    answers: Answers
    probability: NDArray[np.float64]
    outcomes: OutcomeAnswers | None = None
    cosine: NDArray[np.float64] | None = None
    best: Best | None = None


def score(model: TwoTower, exam: Exam, outcomes: OutcomeExam | None = None) -> Score:
    """All figures of `model` on `exam`, and on the exam by `outcomes` if there is one.

    Where a diverged model gives no number for a pair, the answer counts as wrong.
    """
    asked = exam.queries if outcomes is None else np.union1d(exam.queries, outcomes.asked)
    queries = embed(model, QUERY, exam.raw, asked)
    candidates = embed(model, CANDIDATE, exam.raw, exam.corpus)
    scale, bias = model.scale()
    cosine = pair_cosines(queries, candidates, exam.pairs.rows)
    probability = sigmoid(scale * cosine + bias)
    finite = np.isfinite(probability)
    probability = np.where(finite, probability, 0.5)
    right = finite & ((probability > 0.5) == exam.pairs.similar)
    answers, best = _answers(exam, queries, candidates, (scale, bias), right, _ranking(cosine, exam.pairs.similar))
    everybody = np.ones(len(answers), dtype=bool)
    told = None if outcomes is None else answer(outcomes, queries, candidates, (scale, bias))
    metrics = metrics_of(answers, everybody, exam.pairs, exam.queries, probability, told)
    return Score(metrics, answers, probability, told, cosine, best)


def scores(models: Sequence[TwoTower], exam: Exam, outcomes: OutcomeExam | None = None) -> list[Score]:
    """The scores of each model on the same exams, two models at a time: TensorFlow uses one core for each."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return list(pool.map(lambda model: score(model, exam, outcomes), models))


def slice_reports(
    exam: Exam,
    slices: Mapping[Slice, Rows],
    challenger: Score | None,
    champion: Score | None,
    outcomes: OutcomeExam | None = None,
) -> dict[Slice, SliceReport]:
    """Both scores by slice: over exactly the users in each, given as rows of the matrix."""
    reports = {}
    for name, rows in slices.items():
        inside = np.isin(exam.queries, rows)
        pairs = int(np.isin(exam.pairs.rows[:, 0], rows).sum())
        asked = None if outcomes is None else np.isin(outcomes.asked, rows)
        told = [
            _part(exam, found, inside, asked) if found is not None and pairs else None
            for found in (challenger, champion)
        ]
        reports[name] = SliceReport(users=int(inside.sum()), pairs=pairs, challenger=told[0], champion=told[1])
    return reports


def _part(exam: Exam, found: Score, inside: NDArray[np.bool_], asked: NDArray[np.bool_] | None) -> Metrics:
    """The figures over the queries `inside` (queries,), and over the users `asked` (users,) about labels."""
    outcomes = None if found.outcomes is None or asked is None else found.outcomes.of(asked)
    return metrics_of(found.answers, inside, exam.pairs, exam.queries, found.probability, outcomes)


def embed(model: TwoTower, name: str, raw: Floats, rows: Rows) -> Floats:
    """Unit embeddings (len(raw), 128) of `rows` by one tower, as it is exported; the other rows are zero."""
    if name == CANDIDATE and model.remembered is not None:
        return model.remembered.candidates(raw, rows, lambda: _embed(model, name, raw, rows))
    return _embed(model, name, raw, rows)


def _embed(model: TwoTower, name: str, raw: Floats, rows: Rows) -> Floats:
    tower = model.query if name == QUERY else model.candidate
    found = np.zeros((len(raw), tower.output_shape[1]), dtype=np.float32)
    for start in range(0, len(rows), _ROWS_PER_PASS):
        part = rows[start : start + _ROWS_PER_PASS]
        found[part] = tower(model.preprocess(raw[part], training=False), training=False)
    return found


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Bins of cosines, by which the ranking of all pairs is summed up by user.

    Each bin holds about the same number of sampled pairs, so bins are fine where the pairs that matter lie, however a
    model stretches its cosines.
    """

    low: float
    table: NDArray[np.int64]
    """(cells,) the bin of each cell of [low, 1], the most alike in bin 0."""

    def bins(self, cosine: Floats) -> NDArray[np.int64]:
        """The bin of each of `cosine` (n,), all above `low`."""
        cells = ((cosine - self.low) * (_CELLS / (1.0 - self.low))).astype(np.int64)
        found: NDArray[np.int64] = self.table[np.clip(cells, 0, _CELLS - 1)]
        return found


def _ranking(cosine: NDArray[np.float64], similar: NDArray[np.bool_]) -> _Ranking:
    known = np.isfinite(cosine)
    if not (known & similar).any():
        return _Ranking(1.0 - 1e-6, np.zeros(_CELLS, dtype=np.int64))
    low = float(np.quantile(cosine[known & similar], _LOWEST))
    if (known & ~similar).any():  # most pairs of a poor model need no fine bins
        low = max(low, float(np.quantile(cosine[known & ~similar], _ORDINARY)))
    low = min(low, 1.0 - 1e-6)
    inside = cosine[known & (cosine >= low)]
    edges = np.unique(np.quantile(inside, np.arange(1, _BINS) / _BINS))
    cells = low + (np.arange(_CELLS) + 0.5) * (1.0 - low) / _CELLS
    return _Ranking(low, _BINS - 1 - np.searchsorted(edges, cells, side="right"))


def _answers(
    exam: Exam,
    queries: Floats,
    candidates: Floats,
    line: tuple[float, float],
    right: NDArray[np.bool_],
    ranking: _Ranking,
) -> tuple[Answers, Best]:
    """Sums by query, and the nearest of each: one product with the whole corpus, block by block."""
    count = len(exam.queries)
    said, said_right = np.zeros(count), np.zeros(count)
    ranked, ranked_similar = np.zeros((count, _BINS)), np.zeros((count, _BINS))
    gap, claimed = np.zeros((count, _TENTHS)), np.zeros((count, _TENTHS))
    best = Best(count, exam.nearest)
    scale, bias = line
    asked = queries[exam.queries]
    mute = ~np.isfinite(asked).all(axis=1)
    for where, similar, own in exam.blocks():
        block = candidates[exam.corpus[where]]
        cosine = product(asked, block)
        cosine[own] = cosine[mute] = -np.inf
        cosine[:, ~np.isfinite(block).all(axis=1)] = -np.inf
        calls = scale * cosine + bias > 0 if scale > 0 else np.zeros_like(similar)
        said += calls.sum(axis=1)
        said_right += (calls & similar).sum(axis=1)
        best.add(cosine, exam.corpus[where])

        alike = np.nonzero(cosine > ranking.low)
        place = alike[0] * _BINS + ranking.bins(cosine[alike])
        ranked += np.bincount(place, minlength=count * _BINS).reshape(count, _BINS)
        hits = np.bincount(place[similar[alike]], minlength=count * _BINS)
        ranked_similar += hits.reshape(count, _BINS)

        if scale > 0:
            claims = np.nonzero(cosine > (np.log(_LEAST_CLAIM / (1 - _LEAST_CLAIM)) - bias) / scale)
            probability = sigmoid(scale * cosine[claims].astype(np.float64) + bias)
            tenth = np.minimum((probability * _TENTHS).astype(np.int64), _TENTHS - 1)
            place = claims[0] * _TENTHS + tenth
            size = count * _TENTHS
            gap += np.bincount(place, probability - similar[claims], minlength=size).reshape(count, _TENTHS)
            claimed += np.bincount(place, minlength=size).reshape(count, _TENTHS)

    label, users = exam.pairs.similar, _position(exam.queries, exam.pairs.rows[:, 0])
    right_similar, asked_similar, right_other, asked_other = (
        np.bincount(users, which, minlength=count).astype(np.float64)
        for which in (right & label, label, right & ~label, ~label)
    )
    answers = Answers(
        right_similar=right_similar,
        asked_similar=asked_similar,
        right_other=right_other,
        asked_other=asked_other,
        said=said,
        said_right=said_right,
        similar=exam.similar.astype(np.float64),
        pairs=np.full(count, float(max(len(exam.corpus) - 1, 0))),
        ranked=ranked,
        ranked_similar=ranked_similar,
        gap=gap,
        claimed=claimed,
        found=nearest_found(exam, best),
        wanted=np.full(count, float(exam.nearest)),
    )
    return answers, best


def nearest_found(exam: Exam, best: Best) -> NDArray[np.float64]:
    """(queries,) how many of the nearest by a model, `best`, are as near as the last of the true nearest."""
    if not exam.nearest:
        return np.zeros(len(exam.queries))
    there = np.isfinite(best.values).ravel()
    pair_users = np.repeat(exam.queries, exam.nearest)
    truly = np.full(len(pair_users), -np.inf)
    truly[there] = similarity(exam.directions, pair_users[there], best.rows.ravel()[there])
    near = truly.reshape(best.rows.shape) >= exam.tenth[:, None] - _SAME
    return np.asarray(near.sum(axis=1), dtype=np.float64)


def _position(queries: Rows, rows: Rows) -> Rows:
    """The position of each of `rows` in `queries`."""
    order = np.argsort(queries)
    found: Rows = order[np.searchsorted(queries, rows, sorter=order)]
    return found
