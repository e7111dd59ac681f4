"""Compares a challenger, figure by figure, with the versions that it must not be worse than.

Each figure has its own interval, over all held-out users and over each slice that is large enough. One bound for all
comparisons together decides which losses are certain. The bounds are in `trainer.gate.bootstrap`.

Where champion and challenger scale users differently, each is scored by the labels of its own scaling, and a loss is
certain where it is certain by both labels. By the other's labels alone even the better model loses, since other users
are similar there.

Where outcomes judge, their figures take this place, and the input cosine becomes a guard-rail: a model that learns what
users do forgets some of what they are like, so only a certain loss of more than a margin counts. Three rails:

- Order by the input cosine; the line is fitted to outcomes then, so other figures mean nothing. The rail holds against
  a champion that outcomes judged, and against no baseline: with more labels a model may go further from the cosine, but
  not in one leap.
- Labels known before the cycle: new labels may be spam, and spam is held out like everything.
- Calibration, which each fit draws again: of two equally good models, one is always worse by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import Comparison, Slice
from schemas.policies import GatePolicy
from trainer.exam.answers import FIGURES, Sums
from trainer.exam.evaluate import Score
from trainer.exam.outcome_answers import OUTCOME_FIGURES
from trainer.gate.bootstrap import Difference, Drawn, certain_bounds, differences, weights_of

RAIL_FIGURES = ("recall_at_10",)
"""Figures of the input cosine, by order alone. Average precision depends on the number of similar pairs: many new users
who are alike move it more than any training."""
_OUTCOME_RAILS = {"earlier_auc", "outcome_calibration_error"}
_SLICE_FIGURES = ("accuracy", "precision", "recall", "recall_at_10")
_OUTCOME_SLICE_FIGURES = ("outcome_auc", "recall_at_50")
_WORST_FIRST = ("worse", "probably worse", "unclear", "fine")


@dataclass(frozen=True, slots=True)
class Rival:
    """A version that the challenger must not be worse than.

    Attributes:
        name: `champion`, or `version N`.
        scores: one for each exam.
        railed: whether the guard-rail holds against this version.
    """

    name: str
    scores: Sequence[Score]
    railed: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """How one figure differs from that of `against`.

    Attributes:
        own: each model by the labels of its own scaling.
        by_labels: both by the same labels: today's, and the champion's where its scaling differs.
        rail: whether this is a guard-rail.
    """

    against: str
    part: Slice | None
    own: Difference
    by_labels: Sequence[Difference]
    rail: bool


def compare(
    policy: GatePolicy,
    challenger: Sequence[Score],
    rivals: Sequence[Rival],
    slices: Mapping[Slice, NDArray[np.bool_]],
    seed: int,
    asked: Mapping[Slice, NDArray[np.bool_]] | None = None,
) -> list[tuple[Comparison, Difference]]:
    """All comparisons, the worst first, each with its difference by own labels.

    Args:
        policy: margins, confidence and sizes.
        challenger: its score in each exam: by the labels of its scaling, and by the champion's where that differs.
        rivals: the champion first, and the baseline; all scored on the same exams.
        slices: (queries,) who is in each slice.
        seed: of the bootstrap.
        asked: (users,) which users of the exam by outcomes are in each slice, where outcomes judge; else None.
    """
    similarity = [[one.answers for one in side] for side in (challenger, *(rival.scores for rival in rivals))]
    names = [rival.name for rival in rivals]
    if asked is None:
        found = _differences(policy, names, similarity, slices, seed, FIGURES, _SLICE_FIGURES)
    else:
        outcomes = [[_outcomes(side[0])] for side in (challenger, *(rival.scores for rival in rivals))]
        found = _differences(policy, names, outcomes, asked, seed, OUTCOME_FIGURES, _OUTCOME_SLICE_FIGURES)
        found = [replace(one, rail=one.own.figure in _OUTCOME_RAILS) for one in found]
        railed = [rival.railed for rival in rivals]
        names, similarity = list(compress(names, railed)), list(compress(similarity, [True, *railed]))
        found += _differences(policy, names, similarity, {}, seed, RAIL_FIGURES, (), rail=True)
    bounds = iter(certain_bounds([one for each in found for one in each.by_labels], policy.false_alarms))
    compared = [(_compared(policy, one, [next(bounds) for _ in one.by_labels]), one.own) for one in found]
    compared.sort(key=lambda one: (_WORST_FIRST.index(one[0].verdict), one[0].guard_rail, one[0].difference))
    return compared


def _outcomes(score: Score) -> Sums:
    if score.outcomes is None:
        raise ValueError("outcomes cannot judge a model that was not asked about them")
    return score.outcomes


def _differences(
    policy: GatePolicy,
    names: Sequence[str],
    answers: Sequence[Sequence[Sums]],
    slices: Mapping[Slice, NDArray[np.bool_]],
    seed: int,
    figures: Sequence[str],
    slice_figures: Sequence[str],
    *,
    rail: bool = False,
) -> list[_Found]:
    """The differences to each rival: each figure, over all users and over each slice that is large enough.

    Args:
        names: of the rivals.
        answers: the challenger's and each rival's, one for each exam.
        slices: (users,) which of the exam's users are in each.
        figures, slice_figures: the figures that are compared, over all users and over a slice.
        rail: whether these are a guard-rail.
    """
    if not names:
        return []
    users = len(answers[0][0])
    weights = weights_of(users, policy.draws, seed)
    groups = {None: np.ones(users, dtype=bool)} | {
        name: inside for name, inside in slices.items() if policy.slice_users <= inside.sum() < users
    }
    found: list[_Found] = []
    for part, inside in groups.items():
        compared = figures if part is None else slice_figures
        mine, *theirs = ([Drawn.of(one.of(inside), weights[:, inside]) for one in side] for side in answers)
        for name, its in zip(names, theirs, strict=True):
            own = differences(mine[0], its[-1], compared)
            by_labels = zip(
                *(differences(one, other, compared) for one, other in zip(mine, its, strict=True)), strict=True
            )
            found += [_Found(name, part, *both, rail) for both in zip(own, by_labels, strict=True)]
    return found


def margin_of(policy: GatePolicy, figure: str) -> float:
    """The smallest loss of a figure that has to be ruled out."""
    match figure:
        case "accuracy":
            return policy.margin
        case "precision":
            return policy.precision_margin
        case "calibration_error" | "outcome_calibration_error":
            return policy.calibration_margin
        case "outcome_auc":
            return policy.auc_margin
        case "earlier_auc":
            return policy.earlier_margin
        case _:
            return policy.recall_margin


def _compared(policy: GatePolicy, found: _Found, bounds: Sequence[float]) -> Comparison:
    """The verdict on one figure; `bounds` are the upper bounds of its differences, by each of the labels."""
    against, part, difference = found.against, found.part, found.own
    by_cosine = found.rail and difference.figure in RAIL_FIGURES
    margin: float | None = policy.guard_rail_margin if by_cosine else margin_of(policy, difference.figure)
    lower = difference.lower(policy.confidence)
    if part is not None and difference.hidden(policy.confidence) >= margin_of(policy, difference.figure):
        margin = None  # so few users could never show it
    losses = zip(found.by_labels, bounds, strict=True)
    if found.rail:
        verdict = "worse" if all(bound < -(margin or 0.0) for bound in bounds) else "fine"
    elif all(bound < 0 and one.value < -policy.negligible for one, bound in losses):
        verdict = "worse"
    elif margin is not None and difference.value < 0 and difference.value <= -margin:
        verdict = "probably worse"
    elif margin is not None and lower <= -margin:
        verdict = "unclear"
    else:
        verdict = "fine"
    return Comparison.model_validate(
        {
            "figure": difference.figure,
            "against": against,
            "slice": part,
            "users": difference.users,
            "challenger": difference.challenger,
            "other": difference.other,
            "difference": difference.value,
            "lower": lower,
            "certain": max(bounds),
            "margin": margin,
            "guard_rail": found.rail,
            "verdict": verdict,
        }
    )
