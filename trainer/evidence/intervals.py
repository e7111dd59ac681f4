"""Figures of champion and challenger by slice, with bootstrap intervals over the users of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from schemas.cycle import Slice
from schemas.evidence import Interval, ModelName
from trainer.exam.answers import Answers, Sums
from trainer.exam.evaluate import Score
from trainer.gate.bootstrap import Drawn, weights_of
from trainer.matrix.embeddings import Rows

_DRAWS = 200
_LEAST_USERS = 5  # of fewer an interval says nothing
_LOW, _HIGH = 0.025, 0.975
_FIGURES = ("accuracy", "precision", "recall", "recall_at_10")
_OUTCOME_FIGURES = ("outcome_auc", "recall_at_50")


def intervals(
    scores: Mapping[ModelName, Score], queries: Rows, asked: Rows | None, slices: Mapping[Slice, Rows], seed: int
) -> tuple[Interval, ...]:
    """The intervals of each model, over all users and over each slice of five users or more.

    Args:
        scores: of each model on the same exam.
        queries: (queries,) rows of the exam's users.
        asked: (users,) rows of those asked about labels, if any.
        slices: rows of each slice.
        seed: of the bootstrap; the same draws for each model.
    """
    found: list[Interval] = []
    for model, score in scores.items():
        found += _of(model, _light(score.answers), queries, slices, _FIGURES, seed)
        if score.outcomes is not None and asked is not None:
            found += _of(model, score.outcomes, asked, slices, _OUTCOME_FIGURES, seed)
    return tuple(found)


def _of(
    model: ModelName,
    answers: Sums,
    users: Rows,
    slices: Mapping[Slice, Rows],
    figures: tuple[str, ...],
    seed: int,
) -> list[Interval]:
    groups: list[tuple[Slice | None, Rows]] = [(None, users), *slices.items()]
    found = []
    for name, rows in groups:
        inside = np.isin(users, rows)
        count = int(inside.sum())
        if count < _LEAST_USERS:
            continue
        drawn = Drawn.of(answers.of(inside), weights_of(count, _DRAWS, seed))
        for figure in figures:
            low, high = np.quantile(drawn.samples[figure], (_LOW, _HIGH))
            found.append(
                Interval(
                    model=model,
                    slice=name,
                    figure=figure,
                    users=count,
                    value=round(float(drawn.figures[figure]), 6),
                    low=round(float(low), 6),
                    high=round(float(high), 6),
                )
            )
    return found


def _light(answers: Answers) -> Answers:
    """The same answers without the bins of the ranking, of which none of the figures is made."""
    none = np.zeros((len(answers), 1))
    return replace(answers, ranked=none, ranked_similar=none)
