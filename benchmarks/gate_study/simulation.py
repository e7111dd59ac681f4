"""Challengers that are equal, or worse by twice the margin, on exams of many sizes: how often does a rule let them by?

A model labels 97 % of a user's pairs right. A challenger answers one pair in fifty otherwise. Its harm is spread
evenly, or borne by 4 % of the users, who lose half of what was right, or by 1 % of them, who lose all of it (which is
the margin itself: more than all cannot be lost).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.gate_study.answering import PAIRS_EACH, answered
from benchmarks.gate_study.rules import RULES
from schemas.policies import GatePolicy
from trainer.exam.evaluate import Score

SIZES = (30, 60, 100, 200, 500, 1000, 2000)
HARMS: dict[str, tuple[float, float]] = {
    "equal": (0.0, 1.0),
    "evenly": (1.0, 0.02),
    "on 4 % of users": (0.04, 0.5),
    "on 1 % of users": (0.01, 1.0),
}
"""Share of users who are hit, and share of their right answers that they lose."""

_SKILL, _SPREAD, _CHURN = 0.97, 0.02, 0.02


def simulate(runs: int) -> list[dict[str, Any]]:
    """How often each rule comes to each outcome, by size and harm."""
    rows = []
    for users in SIZES:
        for harm in HARMS:
            counts: dict[str, Counter[str]] = {name: Counter() for name in RULES}
            for seed in range(runs):
                challenger, champion = two_models(users, harm, seed)
                for name, rule in RULES.items():
                    counts[name][rule(challenger, champion, seed)] += 1
            rows += [
                {"users": users, "harm": harm, "rule": name, **{what: n / runs for what, n in found.items()}}
                for name, found in counts.items()
            ]
    return rows


def two_models(users: int, harm: str, seed: int) -> tuple[Score, Score]:
    """Answers of a challenger and a champion, reproducible from a seed."""
    draw = np.random.default_rng((seed, users, list(HARMS).index(harm)))
    skill = np.clip(draw.normal(_SKILL, _SPREAD, users), 0, 1)[:, None]
    champion = draw.random((users, PAIRS_EACH)) < skill
    again = draw.random(champion.shape) < _CHURN
    challenger = np.where(again, draw.random(champion.shape) < skill, champion)
    share, lost = HARMS[harm]
    hit = draw.random(users) < share if lost else np.zeros(users, dtype=bool)
    challenger &= ~(hit[:, None] & (draw.random(challenger.shape) < lost))
    recall = np.clip(draw.normal(0.8, 0.1, users), 0, 1)
    theirs = np.clip(recall + draw.normal(0, 0.02, users), 0, 1)
    mine = np.clip(recall + draw.normal(0, 0.02, users), 0, 1) * (1 - lost * hit)
    return answered(challenger, mine), answered(champion, theirs)


def verdicts(rows: list[dict[str, Any]]) -> Iterator[str]:
    """What the study promises and does not keep."""
    for row in rows:
        if row["rule"] != "the gate":
            continue
        if row["harm"] not in ("equal", "on 1 % of users") and row.get("passed", 0.0) > 0.01:
            yield f"worse by twice the margin, {row['harm']}, {row['users']} users: {row['passed']:.1%} pass"
        refused = 1 - row.get("passed", 0.0) - row.get("noted", 0.0)
        if row["harm"] == "equal" and row["users"] >= GatePolicy().small_users and refused > 0.1:
            yield f"equal, {row['users']} users: {refused:.1%} are refused"
