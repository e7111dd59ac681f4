"""Rules for registering a version that the gate is compared with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from schemas.policies import GatePolicy
from trainer.exam.evaluate import Score
from trainer.gate.comparison import Rival
from trainer.gate.gate import CHAMPION, judge

Rule = Callable[[Score, Score, int], str]
"""From challenger's score, champion's score and a seed to an outcome: passed, noted, rejected or inconclusive."""


def trained(_challenger: Score, _champion: Score, _seed: int) -> str:
    """The notebook's: what has been trained is registered, with the training accuracy of its last epoch."""
    return "passed"


def point_estimates(challenger: Score, champion: Score, _seed: int) -> str:
    """What many pipelines do: the higher accuracy on the holdout wins."""
    return "passed" if challenger.metrics.accuracy >= champion.metrics.accuracy else "rejected"


def first_release(challenger: Score, champion: Score, seed: int) -> str:
    """Retrainer's first gate: the lower bound of the accuracy difference is above -0.01, recall@10 lost at most 0.05.

    By a percentile bootstrap over users at 95 %, over sampled pairs.
    """
    mine, theirs = challenger.answers, champion.answers
    lost = (mine.right_similar + mine.right_other) - (theirs.right_similar + theirs.right_other)
    asked = mine.asked_similar + mine.asked_other
    chosen = np.random.default_rng(seed).integers(len(asked), size=(1000, len(asked)))
    bound = np.quantile(lost[chosen].sum(axis=1) / asked[chosen].sum(axis=1), 0.05)
    recall = champion.metrics.recall_at_10 - challenger.metrics.recall_at_10
    return "rejected" if bound <= -0.01 or recall > 0.05 else "passed"


def gate(challenger: Score, champion: Score, seed: int) -> str:
    """The gate as it is; what passes with a note of what could be hidden is told apart."""
    report = judge(GatePolicy(draws=1000), [challenger], [Rival(CHAMPION, [champion])], {}, seed)
    return "noted" if report.outcome == "passed" and report.notes else report.outcome


RULES: dict[str, Rule] = {
    "what was trained": trained,
    "two point estimates": point_estimates,
    "the first release": first_release,
    "the gate": gate,
}
