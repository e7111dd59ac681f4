"""Scores a model on an exam: all pairs of the held-out users, a balanced sample, their nearest users, and outcomes.

Every figure uses the exported path: raw rows through the preprocessing and both towers. Scores of several models on one
`Exam` are over the same users, pairs and rows, so they are comparable (P4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import Metrics, Slice, SliceReport
from stores.feature_store import Floats
from stores.scratch import Scratch
from trainer.exam.answers import Answers
from trainer.exam.exam import Exam
from trainer.exam.metrics import metrics_of
from trainer.exam.outcome_answers import OutcomeAnswers, answer
from trainer.exam.outcome_exam import OutcomeExam
from trainer.exam.part_answers import SECONDS_A_PAIR, PartAnswers, Ranking, answers_of, ranking_of
from trainer.exam.parts import Blocks, parts_of
from trainer.exam.retrieval import Best
from trainer.matrix.cosines import pair_cosines, sigmoid
from trainer.matrix.embeddings import Rows
from trainer.model import CANDIDATE, QUERY, TwoTower
from trainer.pairs.similarity import similarity
from trainer.workers import HERE, Workers

_SIDE_BY_SIDE = 2  # models at a time: each has the embeddings of all users in memory
_ROWS_PER_PASS = 8192
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


def score(model: TwoTower, exam: Exam, outcomes: OutcomeExam | None = None, workers: Workers = HERE) -> Score:
    """All figures of `model` on `exam`, and on the exam by `outcomes` if there is one; `workers` compare all pairs.

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
    ranking = ranking_of(cosine, exam.pairs.similar)
    answers, best = _answers(exam, queries, candidates, (scale, bias), right, ranking, workers)
    everybody = np.ones(len(answers), dtype=bool)
    told = None if outcomes is None else answer(outcomes, queries, candidates, (scale, bias), workers)
    metrics = metrics_of(answers, everybody, exam.pairs, exam.queries, probability, told)
    return Score(metrics, answers, probability, told, cosine, best)


def scores(
    models: Sequence[TwoTower], exam: Exam, outcomes: OutcomeExam | None = None, workers: Workers = HERE
) -> list[Score]:
    """The scores of each model on the same exams, two models at a time: TensorFlow uses one core for each."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return list(pool.map(lambda model: score(model, exam, outcomes, workers), models))


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
    # Of queries there are a few thousand, and zeros that nobody writes take no memory; on a disk they would take room.
    room = np.zeros if name == QUERY else Scratch.beside(raw).zeros
    found: Floats = room((len(raw), tower.output_shape[1]), np.float32)
    for start in range(0, len(rows), _ROWS_PER_PASS):
        part = rows[start : start + _ROWS_PER_PASS]
        found[part] = tower(model.preprocess(raw[part], training=False), training=False)
    return found


def _answers(
    exam: Exam,
    queries: Floats,
    candidates: Floats,
    line: tuple[float, float],
    right: NDArray[np.bool_],
    ranking: Ranking,
    workers: Workers,
) -> tuple[Answers, Best]:
    """Sums by query, and the nearest of each: one product with the whole corpus, block by block."""
    count = len(exam.queries)
    work = partial(answers_of, line=line, ranking=ranking, nearest=exam.nearest)
    parts, blocks = parts_of(queries, exam.queries, exam.bits), Blocks(candidates, exam.corpus, count)
    seconds = count * len(exam.corpus) * SECONDS_A_PAIR
    found = PartAnswers.of_all(list(workers.each(work, parts, blocks, seconds)))
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
        said=found.said,
        said_right=found.said_right,
        similar=exam.similar.astype(np.float64),
        pairs=np.full(count, float(max(len(exam.corpus) - 1, 0))),
        ranked=found.ranked,
        ranked_similar=found.ranked_similar,
        gap=found.gap,
        claimed=found.claimed,
        found=nearest_found(exam, found.best),
        wanted=np.full(count, float(exam.nearest)),
    )
    return answers, found.best


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
