"""Comparing a challenger with the versions that it must not be worse than, figure by figure.

Each figure has an interval of its own, of all held-out users and of each slice that is large enough; certain losses are
told by one bound for all comparisons together. The bounds are in `trainer.bootstrap`.

Where champion and challenger scale users otherwise, each answers by the labels of its own scaling; a loss is certain
where it is so by the labels of both. By the other's alone even the better model loses: it calls others similar.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.cycle import Comparison, Slice
from schemas.policies import GatePolicy
from trainer.answers import FIGURES
from trainer.bootstrap import Difference, Drawn, certain_bounds, differences, weights_of
from trainer.evaluate import Score

_SLICE_FIGURES = ("accuracy", "precision", "recall", "recall_at_10")
_WORST_FIRST = ("worse", "probably worse", "unclear", "fine")


@dataclass(frozen=True, slots=True)
class Rival:
    """A version that the challenger must not be worse than, and its scores: one for each exam."""

    name: str
    scores: Sequence[Score]


@dataclass(frozen=True, slots=True)
class _Found:
    """How one figure differs from that of `against`.

    Attributes:
        own: each by the labels of its own scaling.
        by_labels: both by the same labels: today's, and the champion's where it scales otherwise.
    """

    against: str
    part: Slice | None
    own: Difference
    by_labels: Sequence[Difference]


def compare(
    policy: GatePolicy,
    challenger: Sequence[Score],
    rivals: Sequence[Rival],
    slices: Mapping[Slice, NDArray[np.bool_]],
    seed: int,
) -> list[tuple[Comparison, Difference]]:
    """All comparisons, the worst first, each with the difference by own labels that it tells.

    Args:
        policy: margins, confidence and sizes.
        challenger: its score of each exam: by the labels of its scaling, and by the champion's where that is another.
        rivals: the champion first, and the baseline; all scored on the same exams.
        slices: (queries,) who is in each slice.
        seed: of the bootstrap.
    """
    users = len(challenger[0].answers)
    weights = weights_of(users, policy.draws, seed)
    everybody = np.ones(users, dtype=bool)
    groups = {None: everybody} | {
        name: inside for name, inside in slices.items() if policy.slice_users <= inside.sum() < users
    }
    found: list[_Found] = []
    for part, inside in groups.items():
        figures = FIGURES if part is None else _SLICE_FIGURES
        mine, *theirs = (
            [Drawn.of(one.answers.of(inside), weights[:, inside]) for one in side]
            for side in (challenger, *(rival.scores for rival in rivals))
        )
        for rival, its in zip(rivals, theirs, strict=True):
            own = differences(mine[0], its[-1], figures)
            by_labels = zip(
                *(differences(one, other, figures) for one, other in zip(mine, its, strict=True)), strict=True
            )
            found += [_Found(rival.name, part, *both) for both in zip(own, by_labels, strict=True)]
    bounds = iter(certain_bounds([one for each in found for one in each.by_labels], policy.false_alarms))
    told = [(_compared(policy, one, [next(bounds) for _ in one.by_labels]), one.own) for one in found]
    told.sort(key=lambda one: (_WORST_FIRST.index(one[0].verdict), one[0].difference))
    return told


def margin_of(policy: GatePolicy, figure: str) -> float:
    """The loss of a figure that has to be ruled out."""
    match figure:
        case "accuracy":
            return policy.margin
        case "precision":
            return policy.precision_margin
        case "calibration_error":
            return policy.calibration_margin
        case _:
            return policy.recall_margin


def _compared(policy: GatePolicy, found: _Found, bounds: Sequence[float]) -> Comparison:
    """The verdict on one figure; `bounds` are those above which it certainly is not, by each of the labels."""
    against, part, difference = found.against, found.part, found.own
    margin: float | None = margin_of(policy, difference.figure)
    lower = difference.lower(policy.confidence)
    if part is not None and difference.hidden(policy.confidence) >= margin_of(policy, difference.figure):
        margin = None  # so few users could never show it
    losses = zip(found.by_labels, bounds, strict=True)
    if all(bound < 0 and one.value < -policy.negligible for one, bound in losses):
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
            "verdict": verdict,
        }
    )
