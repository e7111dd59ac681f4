"""Paired bootstrap over users: differences of figures between two models, with bounds.

Users are drawn, not pairs, so the pairs of one user stay together (Davison & Hinkley, Bootstrap Methods and their
Application, 3.8); both models are summed over the same draw. A bootstrap sees only users who are in the sample. So a
lower bound also subtracts the loss of a group of which nobody is among n users. With confidence c such a group has at
most a share of -ln(1 - c) / n, the rule of three (Hanley & Lippman-Hand, JAMA 1983); it is assumed to lose everything.

One bound for all comparisons together decides which losses are certain: the quantile of the largest studentised
deviation (Westfall & Young 1993; Romano & Wolf, Econometrica 2005). It is never wider than Holm's, and knows that
figures move together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trainer.exam.answers import FIGURES, LOSSES, NOTHING_KNOWN, Doubles, Sums

_NOTHING = 1e-9  # smaller differences count as 0


@dataclass(frozen=True, slots=True)
class Difference:
    """How one figure of a challenger differs from another model's; a loss is negative, whatever the figure.

    Attributes:
        figure: its name.
        users: number of users.
        challenger, other: the figures themselves.
        value: challenger less other.
        drawn: (draws,) the same of each bootstrap sample.
    """

    figure: str
    users: int
    challenger: float
    other: float
    value: float
    drawn: Doubles

    @property
    def error(self) -> float:
        """Standard error."""
        return float(self.drawn.std()) * math.sqrt(self.users / max(self.users - 1, 1))

    def hidden(self, confidence: float) -> float:
        """The largest loss of users too rare to be in the sample: everything there is to lose."""
        most = 1.0 - self.other if self.figure in LOSSES else max(self.other - NOTHING_KNOWN.get(self.figure, 0.0), 0.0)
        return most * unseen_share(self.users, confidence)

    def seen_lower(self, confidence: float) -> float:
        """One-sided lower bound of what the sample shows: the lower of the percentile and Student's."""
        studentised = self.value - student(NormalDist().inv_cdf(confidence), self.users) * self.error
        return min(float(np.quantile(self.drawn, 1 - confidence)), studentised)

    def lower(self, confidence: float) -> float:
        """One-sided lower bound, less the loss that the sample cannot show."""
        return self.seen_lower(confidence) - self.hidden(confidence)

    def needed_users(self, margin: float, confidence: float, most: int = 10_000_000) -> int | None:
        """Users needed until the lower bound is above -margin, all else equal; None where no number suffices."""
        noise = student(NormalDist().inv_cdf(confidence), self.users) * self.error * math.sqrt(self.users)
        hidden = self.hidden(confidence) * self.users
        count = self.users
        while self.value - noise / math.sqrt(count) - hidden / count <= -margin:
            count = math.ceil(count * 1.1)
            if count > most:
                return None
        return count


def weights_of(users: int, draws: int, seed: int) -> Doubles:
    """(draws, users) how often each user is in each bootstrap sample."""
    generator = np.random.default_rng(seed)
    chosen = generator.integers(users, size=(draws, users)) + users * np.arange(draws)[:, None]
    return np.bincount(chosen.ravel(), minlength=draws * users).reshape(draws, users).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The figures of answers: of all users, and of each bootstrap sample (draws,)."""

    users: int
    figures: dict[str, Doubles]
    samples: dict[str, Doubles]

    @staticmethod
    def of(answers: Sums, weights: Doubles) -> Drawn:
        """By the (draws, users) `weights` of the bootstrap."""
        users = len(answers)
        return Drawn(users, answers.summed(np.ones(users)).figures(), answers.summed(weights).figures())


def differences(challenger: Drawn, other: Drawn, figures: Sequence[str] = FIGURES) -> list[Difference]:
    """The differences of `figures`, drawn by the same weights: of the same users, maybe of two exams."""
    found = []
    for name in figures:
        turn = -1.0 if name in LOSSES else 1.0
        mine, its = float(challenger.figures[name]), float(other.figures[name])
        drawn = turn * (challenger.samples[name] - other.samples[name])
        found.append(Difference(name, challenger.users, mine, its, turn * (mine - its), drawn))
    return found


def certain_bounds(found: Sequence[Difference], false_alarms: float) -> list[float]:
    """Upper bound of each difference. Where nothing is worse, any is below zero with probability `false_alarms`.

    A difference that does not vary between draws is its own bound.
    """
    errors = [one.error for one in found]
    deviations = [(one.value - one.drawn) / error for one, error in zip(found, errors, strict=True) if error > _NOTHING]
    reach = float(np.quantile(np.max(deviations, axis=0), 1 - false_alarms)) if deviations else 0.0
    return [
        one.value + (student(max(reach, 0.0), one.users) * error if error > _NOTHING else _NOTHING)
        for one, error in zip(found, errors, strict=True)
    ]


def unseen_share(users: int, confidence: float) -> float:
    """The largest share of a group of which nobody is among so many users, at this confidence."""
    return min(1.0, -math.log(1 - confidence) / users)


def student(normal: float, users: int) -> float:
    """Student's quantile for so many users from the normal one (Abramowitz & Stegun 26.7.5, first term)."""
    return normal + (normal**3 + normal) / (4 * max(users - 1, 1))
