"""P4: the gate passes what is not worse, refuses what is, and says when it cannot tell; at the rates it promises."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.cycle import Metrics
from schemas.policies import GatePolicy
from trainer.evaluate import Score
from trainer.gate import judge, lower_bound

POLICY = GatePolicy(margin=0.01, draws=400)


def score(right: NDArray[np.bool_], recall: float = 0.5) -> Score:
    accuracy = float(right.mean()) if len(right) else 0.0
    return Score(
        Metrics(accuracy=accuracy, auc=0.9, recall_at_10=recall, calibration_error=0.0),
        probability=np.where(right, 0.9, 0.1),
        right=right,
        recall=np.full(10, recall),
    )


def two_models(
    seed: int, users: int, gain: float, pairs_each: int = 20
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Anchors, and which pairs challenger and champion get right: the same but for one in twenty, users differing."""
    generator = np.random.default_rng(seed)
    anchors = np.repeat(np.arange(users), pairs_each)
    skill = np.repeat(generator.normal(0.9, 0.03, users), pairs_each)
    champion = generator.random(len(anchors)) < skill
    redrawn = generator.random(len(anchors)) < 0.05 + 2 * abs(gain)
    challenger = champion.copy()
    chance = skill + gain / (0.05 + 2 * abs(gain))
    challenger[redrawn] = generator.random(int(redrawn.sum())) < chance[redrawn]
    return anchors, challenger, champion


def passes(gain: float, users: int, runs: int = 60) -> float:
    passed = 0
    for seed in range(runs):
        anchors, challenger, champion = two_models(seed, users, gain)
        passed += judge(POLICY, anchors, score(challenger), score(champion), None, seed).outcome == "passed"
    return passed / runs


def test_an_equal_model_passes_and_a_better_one_too() -> None:
    assert passes(0.0, users=300) > 0.9
    assert passes(0.02, users=300) > 0.95


def test_a_model_worse_by_the_margin_is_let_through_no_more_often_than_promised() -> None:
    assert passes(-0.01, users=300) <= 0.12  # one-sided 95 %, with room for sixty runs
    assert passes(-0.03, users=300) == 0.0


def test_few_users_make_it_stricter_not_blinder() -> None:
    assert passes(-0.03, users=40) <= 0.1


def test_too_few_held_out_users_cannot_tell() -> None:
    anchors, challenger, champion = two_models(0, 29, 0.1)
    report = judge(POLICY, anchors, score(challenger), score(champion), None, 0)
    assert report.outcome == "inconclusive"
    assert "only 29 held-out users" in report.reason
    assert report.lower_bound is None


def test_pairs_of_one_user_count_as_one_witness() -> None:
    """Forty users disagree as wholes: by pairs that looks sure, by users it does not."""
    generator = np.random.default_rng(0)
    anchors = np.repeat(np.arange(40), 200)
    by_user = np.repeat(generator.permutation([-0.06, 0.06] * 20), 200)
    by_pair = generator.permutation(by_user)
    assert lower_bound(anchors, by_user, POLICY, 1) < 3 * lower_bound(anchors, by_pair, POLICY, 1) < 0


@pytest.mark.parametrize(("users", "draws"), [(1, 100), (40, 137), (2000, 250)])
def test_the_bootstrap_is_that_of_a_plain_loop(users: int, draws: int) -> None:
    policy = GatePolicy(draws=draws, confidence=0.9)
    anchors = np.random.default_rng(users).integers(users, size=5 * users)
    difference = np.random.default_rng(draws).integers(-1, 2, size=5 * users).astype(np.float64)
    by_user = [difference[anchors == user] for user in np.unique(anchors)]
    generator = np.random.default_rng(7)
    drawn = [generator.integers(len(by_user), size=len(by_user)) for _ in range(draws)]
    means = [np.concatenate([by_user[user] for user in users_drawn]).mean() for users_drawn in drawn]
    assert lower_bound(anchors, difference, policy, 7) == pytest.approx(np.quantile(means, 0.1), abs=1e-12)


def test_the_same_scores_give_the_same_report() -> None:
    anchors, challenger, champion = two_models(3, 100, 0.0)
    reports = [judge(POLICY, anchors, score(challenger), score(champion), None, 7) for _ in range(2)]
    assert reports[0] == reports[1]
    assert reports[0].difference == pytest.approx(challenger.mean() - champion.mean())


def test_the_first_version_needs_the_floor() -> None:
    anchors = np.repeat(np.arange(50), 10)
    good, bad = np.arange(500) % 10 < 8, np.arange(500) % 10 < 5
    assert judge(POLICY, anchors, score(good), None, None, 0).outcome == "passed"
    rejected = judge(POLICY, anchors, score(bad), None, None, 0)
    assert rejected.outcome == "rejected"
    assert "floor" in rejected.reason


def test_guard_rails_refuse_what_accuracy_does_not_see() -> None:
    anchors, challenger, champion = two_models(3, 100, 0.0)
    forgetful = judge(POLICY, anchors, score(challenger, recall=0.4), score(champion, recall=0.5), None, 7)
    assert forgetful.outcome == "rejected"
    assert "recall@10 sank by 0.1000" in forgetful.reason
    anchor = score(np.ones(len(anchors), dtype=bool))
    drifted = judge(POLICY, anchors, score(challenger), score(champion), anchor, 7)
    assert drifted.outcome == "rejected"
    assert "below the last full retrain" in drifted.reason
