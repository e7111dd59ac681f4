"""Answers to an exam, made by hand: users with so many pairs, and which of them a model labels right."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.exam.answers import Answers
from trainer.exam.evaluate import Score
from trainer.exam.exam import PairSet
from trainer.exam.metrics import metrics_of

PAIRS_EACH = 40
"""Sampled pairs of each user: the first half similar, the second not."""
CORPUS = 1000
_BINS = 4


def answered(right: NDArray[np.bool_], recall: NDArray[np.float64] | float = 0.8) -> Score:
    """What a model answered that tells `right` (users, PAIRS_EACH) of the sample right, and finds `recall` of the ten.

    Of all pairs it makes the same mistakes: it misses the similar ones that it tells wrong, and calls others similar.
    """
    users = len(right)
    half = PAIRS_EACH // 2
    hit, kept = right[:, :half].sum(axis=1).astype(float), right[:, half:].sum(axis=1).astype(float)
    false = half - kept
    found = np.broadcast_to(10 * np.asarray(recall, dtype=float), (users,)).copy()
    ranked = np.zeros((users, _BINS))
    ranked[:, 0], ranked[:, 1] = hit + false / 2, half - hit + false / 2
    similar_ranked = np.zeros((users, _BINS))
    similar_ranked[:, 0], similar_ranked[:, 1] = hit, half - hit
    gap = np.zeros((users, 10))
    gap[:, 9] = false
    claimed = np.zeros((users, 10))
    claimed[:, 9] = hit + false
    each = np.full(users, float(half))
    answers = Answers(
        right_similar=hit,
        asked_similar=each,
        right_other=kept,
        asked_other=each.copy(),
        said=hit + false,
        said_right=hit,
        similar=each.copy(),
        pairs=np.full(users, float(CORPUS)),
        ranked=ranked,
        ranked_similar=similar_ranked,
        gap=gap,
        claimed=claimed,
        found=found,
        wanted=np.full(users, 10.0),
    )
    queries = np.arange(users)
    rows = np.stack([np.repeat(queries, PAIRS_EACH), np.zeros(users * PAIRS_EACH, dtype=np.int64)], axis=1)
    label = np.tile(np.arange(PAIRS_EACH) < half, users)
    probability = np.where(right.ravel() == label, 0.9, 0.1)
    everybody = np.ones(users, dtype=bool)
    metrics = metrics_of(answers, everybody, PairSet(rows, label), queries, probability)
    return Score(metrics, answers, probability)
