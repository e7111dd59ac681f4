"""The score of a model on labels of dev users during a fit: it chooses the weights that are kept, and their line.

This is the gate's exam (`trainer.exam.outcome_exam`) on labels with an end in the dev part and none in the holdout,
among users who are not held out. Its cost is bounded: of more users than `_MOST_USERS` a sample is drawn, and the
number of nearest shrinks from fifty in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from schemas.policies import FitPolicy
from stores.feature_store import Floats
from trainer.exam.answers import Doubles
from trainer.exam.outcome_answers import OutcomeAnswers, answer
from trainer.exam.outcome_exam import NEAREST, OutcomeExam, outcome_exam
from trainer.labels.outcomes import Outcomes
from trainer.learning.loss import calibrate
from trainer.matrix.cosines import pair_cosines
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import Population
from trainer.matrix.split import Part
from trainer.model import TwoTower

_MOST_USERS = 16_384  # in the corpus, besides the users of the labels
_ASKED = 2  # times as many dev users as for similarity: one label says less
_LEAST_LABELS = 16
_GROUPS = 16  # of asked users, left out in turn: the jackknife (Efron and Stein 1981)
_LEAST_GAIN = 5e-4
_PROBABLE, _CERTAIN = 1.0, 2.0  # errors
_TRIFLE = 2e-3  # that one figure may lose beyond its error
_START_SCALE = 5.0


@dataclass(frozen=True, slots=True)
class LabelScore:
    """A model's answers by user, AUC and recall@50; the mean of the two compares epochs."""

    answers: OutcomeAnswers
    auc: float
    recall_at_50: float

    @property
    def value(self) -> float:
        """Higher is better."""
        return (self.auc + self.recall_at_50) / 2


@dataclass(frozen=True, slots=True)
class LabelValidation:
    """The exam, and the directions (users, width) of its users; rows in the exam are rows of these."""

    exam: OutcomeExam
    directions: Floats

    def score(self, model: TwoTower) -> LabelScore:
        """The score of a model, with its own scale and bias."""
        answers = answer(self.exam, *self._embedded(model), model.scale())
        figures = answers.summed(np.ones(len(answers))).figures()
        return LabelScore(answers, float(figures["outcome_auc"]), float(figures["recall_at_50"]))

    def better(self, one: LabelScore, other: LabelScore) -> bool:
        """Whether one model is probably better than the other, by more than a trifle, and in neither figure worse.

        Probably: by more than the error of the difference on the same users. Worse: beyond twice that error.
        """
        gain, error = self._gain(one, other)
        if gain[-1] <= max(_LEAST_GAIN, _PROBABLE * error[-1]):
            return False
        return bool((gain >= -_CERTAIN * error - _TRIFLE).all())

    def holds(self, one: LabelScore, other: LabelScore) -> bool:
        """Whether one model is not probably worse than the other, and in neither figure certainly."""
        gain, error = self._gain(one, other)
        return bool(gain[-1] >= -_PROBABLE * error[-1] and (gain >= -_CERTAIN * error).all())

    def _gain(self, one: LabelScore, other: LabelScore) -> tuple[Doubles, Doubles]:
        """(3,) by how much AUC, recall@50 and value of one are better, and the errors of that on the same users."""
        users = len(one.answers)
        groups = min(_GROUPS, users)
        without = np.arange(users) % groups != np.arange(groups)[:, None]
        weights = np.concatenate([np.ones((1, users)), without])
        gains = _figures(one, weights) - _figures(other, weights)
        gains = np.concatenate([gains, gains.mean(axis=0, keepdims=True)])
        gain, left_out = gains[:, 0], gains[:, 1:]
        spread = np.square(left_out - left_out.mean(axis=1, keepdims=True)).sum(axis=1)
        return gain, np.sqrt(spread * (groups - 1) / groups)

    def line(self, model: TwoTower) -> tuple[float, float]:
        """Scale and bias with 0.5 between positives and strangers, as if both were equally many (Platt 1999)."""
        exam = self.exam
        cosine = pair_cosines(*self._embedded(model), exam.pairs)
        weight = exam.weight.copy()
        for kind in (exam.positive, ~exam.positive):
            weight[kind] *= 0.5 * len(weight) / weight[kind].sum()
        return calibrate(cosine.astype(np.float32), exam.positive, _START_SCALE, weight=weight)

    def _embedded(self, model: TwoTower) -> tuple[Floats, Floats]:
        query = np.zeros((len(self.directions), model.query.output_shape[1]), dtype=np.float32)
        query[self.exam.asked] = model.query(self.directions[self.exam.asked], training=False)
        return query, np.asarray(model.candidate(self.directions, training=False))


def label_validation(
    directions: Floats, outcomes: Outcomes, population: Population, policy: FitPolicy, seed: int
) -> LabelValidation | None:
    """The exam on the labels of dev users; None where they are too few.

    Args:
        directions: (capacity, width) the user matrix.
        outcomes: labels, none of them held out.
        population: users by part of the split.
        policy: the largest number of dev users.
        seed: of all draws.
    """
    return _exam_on(Part.DEV, directions, outcomes, population, policy, seed)


def train_exam(
    directions: Floats, outcomes: Outcomes, population: Population, policy: FitPolicy, seed: int
) -> LabelValidation | None:
    """The same on labels between training users: for the line alone, where there are no dev labels."""
    return _exam_on(Part.TRAIN, directions, outcomes, population, policy, seed)


def _exam_on(
    part: Part, directions: Floats, outcomes: Outcomes, population: Population, policy: FitPolicy, seed: int
) -> LabelValidation | None:
    about = outcomes.part == part
    if np.count_nonzero(about & outcomes.positive) < _LEAST_LABELS:
        return None
    generator = np.random.default_rng(seed)
    pool = np.sort(np.concatenate([population.of(Part.TRAIN), population.of(Part.DEV)]))
    corpus = _some(pool, outcomes.pairs[about], generator)
    known = np.asarray(np.isin(outcomes.pairs, corpus).all(axis=1))
    small = outcomes.of(known)
    small = replace(small, pairs=np.searchsorted(corpus, small.pairs))
    rows = np.asarray(directions[corpus])
    exam = outcome_exam(
        rows,
        small,
        about[known],
        population.part[corpus] == part,
        np.arange(len(corpus)),
        _ASKED * policy.dev_users,
        seed,
    )
    if exam.positive.all() or len(exam.asked) < 2:
        return None
    nearest = max(1, min(round(NEAREST * len(corpus) / len(pool)), len(corpus) - 1))
    return LabelValidation(replace(exam, nearest=nearest), rows)


def _some(pool: Rows, pairs: Rows, generator: np.random.Generator) -> Rows:
    """The ends of `pairs`, and all others of `pool` or `_MOST_USERS` of them, in order."""
    needed = np.isin(pool, pairs)
    others = pool[~needed]
    if len(others) > _MOST_USERS:
        others = generator.choice(others, _MOST_USERS, replace=False)
    return np.sort(np.concatenate([pool[needed], others]))


def _figures(score: LabelScore, weights: Doubles) -> Doubles:
    """(2, draws) AUC and recall@50, each user weighted by `weights` (draws, users)."""
    found = score.answers.summed(weights).figures()
    return np.stack([found["outcome_auc"], found["recall_at_50"]])
