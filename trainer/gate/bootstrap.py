"""Paired bootstrap over users: differences of figures between two models, and what can be said of them.

Users are drawn, not pairs: those of one user stay together (Davison & Hinkley, Bootstrap Methods and their Application,
3.8), and both models are summed over the same draw. A bootstrap sees only users who are there. So a lower bound also
loses what a group could lose of whom none is among n users: with a confidence of c it is no larger a share of them than
-ln(1 - c) / n, the rule of three (Hanley & Lippman-Hand, JAMA 1983), and it loses all there is.

Certain losses are told by one bound for all comparisons together: the quantile of the largest studentised deviation
(Westfall & Young 1993; Romano & Wolf, Econometrica 2005), which is never wider than Holm's and knows that figures move
together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from trainer.exam.answers import FIGURES, LOSSES, NOTHING_KNOWN, Doubles, Sums

_NOTHING = 1e-9  # differences no larger than this are none


@dataclass(frozen=True, slots=True)
class Difference:
    """How one figure of a challenger differs from another model's; a loss is negative, whatever the figure.

    Attributes:
        figure: its name.
        users: of how many users.
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
        """The loss that users could have who are too rare to be among these: all there is to lose."""
        most = 1.0 - self.other if self.figure in LOSSES else max(self.other - NOTHING_KNOWN.get(self.figure, 0.0), 0.0)
        return most * unseen_share(self.users, confidence)

    def seen_lower(self, confidence: float) -> float:
        """One-sided lower bound of what can be seen: the lower one of percentile and Student's."""
        studentised = self.value - student(NormalDist().inv_cdf(confidence), self.users) * self.error
        return min(float(np.quantile(self.drawn, 1 - confidence)), studentised)

    def lower(self, confidence: float) -> float:
        """One-sided lower bound, what cannot be seen taken off."""
        return self.seen_lower(confidence) - self.hidden(confidence)

    def needed_users(self, margin: float, confidence: float, most: int = 10_000_000) -> int | None:
        """How many users it would take until the lower bound is above -margin, all else staying; None if no number."""
        noise = student(NormalDist().inv_cdf(confidence), self.users) * self.error * math.sqrt(self.users)
        hidden = self.hidden(confidence) * self.users
        count = self.users
        while self.value - noise / math.sqrt(count) - hidden / count <= -margin:
            count = math.ceil(count * 1.1)
            if count > most:
                return None
        return count


def weights_of(users: int, draws: int, seed: int) -> Doubles:
    """(draws, users) how often each user is in each bootstrap sample of so many users."""
    generator = np.random.default_rng(seed)
    chosen = generator.integers(users, size=(draws, users)) + users * np.arange(draws)[:, None]
    return np.bincount(chosen.ravel(), minlength=draws * users).reshape(draws, users).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Drawn:
    """The figures that answers come to: as they are, and of each bootstrap sample (draws,)."""

    users: int
    figures: dict[str, Doubles]
    samples: dict[str, Doubles]

    @staticmethod
    def of(answers: Sums, weights: Doubles) -> Drawn:
        """By the (draws, users) `weights` of the bootstrap."""
        users = len(answers)
        return Drawn(users, answers.summed(np.ones(users)).figures(), answers.summed(weights).figures())


def differences(challenger: Drawn, other: Drawn, figures: Sequence[str] = FIGURES) -> list[Difference]:
    """How those of `figures` differ, drawn by the same weights; the users are the same, the exam need not be."""
    found = []
    for name in figures:
        turn = -1.0 if name in LOSSES else 1.0
        mine, its = float(challenger.figures[name]), float(other.figures[name])
        drawn = turn * (challenger.samples[name] - other.samples[name])
        found.append(Difference(name, challenger.users, mine, its, turn * (mine - its), drawn))
    return found


def certain_bounds(found: Sequence[Difference], false_alarms: float) -> list[float]:
    """Upper bound of each difference. Where nothing is worse, one of them is below zero at most so often.

    A difference that never varies is what it is.
    """
    errors = [one.error for one in found]
    deviations = [(one.value - one.drawn) / error for one, error in zip(found, errors, strict=True) if error > _NOTHING]
    reach = float(np.quantile(np.max(deviations, axis=0), 1 - false_alarms)) if deviations else 0.0
    return [
        one.value + (student(max(reach, 0.0), one.users) * error if error > _NOTHING else _NOTHING)
        for one, error in zip(found, errors, strict=True)
    ]


def unseen_share(users: int, confidence: float) -> float:
    """The largest share that a group can have of which nobody is among so many users."""
    return min(1.0, -math.log(1 - confidence) / users)


def student(normal: float, users: int) -> float:
    """Student's quantile for so many users from the normal one (Abramowitz & Stegun 26.7.5, first term)."""
    return normal + (normal**3 + normal) / (4 * max(users - 1, 1))
