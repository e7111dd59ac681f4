"""A model's cosines on the dev users as weighted histograms, and the figures that follow from them.

Counts are kept by group of users, so each figure has an error (the jackknife that leaves out one group, Efron and Stein
1981), and two models can be compared on the same users: `Change`. A pair counts in the bin of its cosine; the model's
own line is an edge of a bin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.learning.loss import calibrate

Doubles = NDArray[np.float64]

_WIDTH = 2.0**-12  # of a bin
_BINS = round(2 / _WIDTH) + 2
_TOLD = 0.1  # pairs with less probability do not count for the calibration error


@dataclass(frozen=True, slots=True)
class Line:
    """probability = sigmoid(scale * cosine + bias)."""

    scale: float
    bias: float

    @property
    def middle(self) -> float:
        """The cosine above which the model calls a pair similar."""
        return -self.bias / self.scale


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures as in `schemas.cycle.Metrics`, estimated on the dev users."""

    accuracy: float
    precision: float
    recall: float
    average_precision: float
    recall_at_10: float
    calibration_error: float

    @property
    def value(self) -> float:
        """A model's quality in one number between 0 and 1, of what the gate looks at; higher is better."""
        both = self.precision + self.recall
        f1 = 2 * self.precision * self.recall / both if both else 0.0
        return (self.accuracy + f1 + self.average_precision + self.recall_at_10) / 4

    def as_array(self) -> Doubles:
        """The figures with signs such that higher is better, the value last."""
        own = [self.accuracy, self.precision, self.recall, self.average_precision, self.recall_at_10]
        return np.array([*own, -self.calibration_error, self.value])


@dataclass(frozen=True, slots=True)
class CosineHistogram:
    """The counts of one model.

    Attributes:
        origin: lower edge of the first bin.
        pairs: (groups, 2, bins) weight of dissimilar and similar pairs by cosine.
        hard: (groups, bins) number of hard dissimilar pairs by cosine.
        found, asked: (groups,) weight of the nearest users that the model finds, and of all of them.
    """

    origin: float
    pairs: Doubles
    hard: Doubles
    found: Doubles
    asked: Doubles

    @staticmethod
    def of(
        cosine: NDArray[np.float32],
        similar: NDArray[np.bool_],
        weight: Doubles,
        hard: tuple[NDArray[np.int64], NDArray[np.int64]],
        found: Doubles,
        asked: Doubles,
        group: NDArray[np.int64],
        middle: float,
    ) -> CosineHistogram:
        """Count pairs into bins.

        Args:
            cosine, similar, weight: (queries, corpus) the model's cosine of each pair, its label, and its weight.
            hard: positions of the hard dissimilar pairs.
            found, asked: (queries,) as the attributes.
            group: (queries,) group of each query, from 0.
            middle: a cosine that becomes the edge of a bin.
        """
        groups = int(group.max()) + 1
        origin = middle - _WIDTH * np.ceil((middle + 1) / _WIDTH)
        bins = np.nan_to_num((cosine - origin) / _WIDTH, nan=0.0).astype(np.int32)
        np.clip(bins, 0, _BINS - 1, out=bins)
        place = (2 * group[:, None] + similar) * _BINS + bins
        pairs = np.bincount(place.ravel(), weight.ravel(), minlength=2 * groups * _BINS)
        hardest = np.bincount(group[hard[0]] * _BINS + bins[hard], minlength=groups * _BINS)
        return CosineHistogram(
            float(origin),
            pairs.reshape(groups, 2, _BINS).astype(np.float64),
            hardest.reshape(groups, _BINS).astype(np.float64),
            np.bincount(group, found, minlength=groups).astype(np.float64),
            np.bincount(group, asked, minlength=groups).astype(np.float64),
        )

    def figures(self, line: Line, among: NDArray[np.bool_] | None = None) -> Figures:
        """The figures at a line, over the groups that `among` (groups,) selects, or over all."""
        chosen = np.ones(len(self.found), dtype=bool) if among is None else among
        negative, positive = self.pairs[chosen].sum(axis=0)
        hard, found, asked = self.hard[chosen].sum(axis=0), self.found[chosen].sum(), self.asked[chosen].sum()
        above = slice(min(max(round((line.middle - self.origin) / _WIDTH), 0), _BINS), None)
        true, false = positive[above].sum(), negative[above].sum()
        recall = _share(true, positive.sum())
        told = 1 - (_share(false, negative.sum()) + _share(hard[above].sum(), hard.sum())) / 2
        down, up = np.cumsum(positive[::-1]), np.cumsum(negative[::-1])
        steps = np.divide(down, down + up, out=np.zeros(_BINS), where=down > 0)
        chance = _sigmoid(line.scale * self.centres + line.bias)
        counts = (positive + negative) * (chance >= _TOLD)
        bins = np.minimum((10 * chance).astype(int), 9)
        gap = np.bincount(bins, np.where(chance >= _TOLD, chance * counts - positive, 0.0), minlength=10)
        return Figures(
            accuracy=(recall + told) / 2,
            precision=_share(true, true + false),
            recall=recall,
            average_precision=_share(float(positive[::-1] @ steps), positive.sum()),
            recall_at_10=_share(found, asked),
            calibration_error=_share(float(np.abs(gap).sum()), counts.sum()),
        )

    @property
    def centres(self) -> Doubles:
        """(bins,) the cosine in the middle of each bin."""
        return np.asarray(self.origin + _WIDTH * (np.arange(_BINS) + 0.5), dtype=np.float64)

    def line(self, start: Line, against: Figures | None) -> Line:
        """The line for these counts, by logistic regression in the true proportion of the pairs.

        Args:
            start: where the search begins.
            against: figures whose precision and recall the line should keep, so that neither is traded for the other;
                then only the steepness is fitted. Where both can gain, F1 decides among the lines that keep half of the
                smaller gain. Where not, the line is where the larger loss of the two is smallest.
        """
        negative, positive = self.pairs.sum(axis=0)
        cosine, similar = np.tile(self.centres, 2), np.repeat([False, True], _BINS)
        weight = np.concatenate([negative, positive])
        some = weight > 0
        middle = None if against is None else self._fairest(negative, positive, against)
        return Line(*calibrate(cosine[some], similar[some], start.scale, middle, weight[some]))

    def _fairest(self, negative: Doubles, positive: Doubles, against: Figures) -> float:
        true, false = (np.cumsum(side[::-1])[::-1] for side in (positive, negative))
        precision = np.divide(true, true + false, out=np.zeros(_BINS), where=true > 0)
        recall = true / max(positive.sum(), 1e-12)
        gain = np.minimum(precision - against.precision, recall - against.recall)
        ties = gain + 1e-3 * (precision + recall)
        if (most := float(gain.max())) > 0:  # both gain: half of the smaller gain is kept, and F1 decides
            both = np.maximum(precision + recall, 1e-12)
            ties = np.where(gain >= most / 2, 2 * precision * recall / both, -1.0)
        best = np.flatnonzero(ties >= ties.max() - 1e-9)
        return float(self.origin + _WIDTH * best[len(best) // 2])


@dataclass(frozen=True, slots=True)
class Change:
    """The gain of one model over another on the same users, with its error.

    Attributes:
        gain, error: (7,) by figure in the order of `Figures.as_array`.
    """

    gain: Doubles
    error: Doubles

    @staticmethod
    def between(
        one: tuple[CosineHistogram, Line], other: tuple[CosineHistogram, Line], among: NDArray[np.bool_] | None = None
    ) -> Change:
        """From the `other` model to the `one`, over the groups that `among` (groups,) selects, or over all."""
        chosen = np.ones(len(one[0].found), dtype=bool) if among is None else among

        def gain(groups: NDArray[np.bool_]) -> Doubles:
            return one[0].figures(one[1], groups).as_array() - other[0].figures(other[1], groups).as_array()

        left_out = []
        for group in np.flatnonzero(chosen):
            chosen_but = chosen.copy()
            chosen_but[group] = False
            left_out.append(gain(chosen_but))
        without = np.array(left_out)
        count = len(without)
        spread = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
        return Change(gain(chosen), np.sqrt((count - 1) / count * spread))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else 0.0


def _sigmoid(values: Doubles) -> Doubles:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(values, -60.0, 60.0))))
