"""Differences between two models, by users: what a plain loop gives, and how often the bounds err."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.gate_study.answering import PAIRS_EACH, answered
from trainer.exam.answers import FIGURES, Answers
from trainer.gate.bootstrap import Difference, Drawn, certain_bounds, differences, student, unseen_share, weights_of


def right(seed: int, users: int, skill: float = 0.9) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random((users, PAIRS_EACH)) < skill


def of(challenger: Answers, other: Answers, weights: NDArray[np.float64]) -> list[Difference]:
    return differences(Drawn.of(challenger, weights), Drawn.of(other, weights))


def test_each_draw_is_the_figures_of_a_plain_loop() -> None:
    one, other = answered(right(1, 30)), answered(right(2, 30))
    weights = weights_of(30, 40, seed=3)
    assert (weights.sum(axis=1) == 30).all()
    for found in of(one.answers, other.answers, weights):
        turn = -1 if found.figure == "calibration_error" else 1
        for draw in range(5):
            who = np.repeat(np.arange(30), weights[draw].astype(int))
            counted = np.bincount(who, minlength=30).astype(float)
            told = [side.answers.summed(counted).figures()[found.figure] for side in (one, other)]
            assert found.drawn[draw] == pytest.approx(turn * (told[0] - told[1]), abs=1e-12)


def test_a_loss_is_negative_whatever_the_figure() -> None:
    worse, better = answered(right(1, 50, 0.7), recall=0.5), answered(right(1, 50, 0.95), recall=0.6)
    found = of(worse.answers, better.answers, weights_of(50, 100, 0))
    assert [one.figure for one in found] == list(FIGURES)
    assert all(one.value < 0 for one in found)


def test_pairs_of_one_user_count_as_one_witness() -> None:
    """Forty users disagree as wholes: by pairs that looks sure, by users it does not."""
    whole = np.repeat(np.arange(40)[:, None] % 2 == 0, PAIRS_EACH, axis=1)
    mixed = np.random.default_rng(0).permutation(whole.ravel()).reshape(whole.shape)
    weights = weights_of(40, 400, 1)
    perfect = answered(np.ones_like(whole)).answers
    by_user, by_pair = (of(answered(said).answers, perfect, weights)[0] for said in (whole, mixed))
    assert by_user.value == pytest.approx(by_pair.value, abs=0.02)
    assert by_user.error > 3 * by_pair.error


def test_what_nobody_shows_is_taken_off_the_lower_bound() -> None:
    """The rule of three: of a hundred users who are all well, up to three in a hundred others may not be."""
    assert unseen_share(100, 0.95) == pytest.approx(0.03, abs=1e-3)
    assert unseen_share(2, 0.95) == 1.0
    same = answered(right(1, 100)).answers
    found = of(same, same, weights_of(100, 100, 0))[0]
    assert found.seen_lower(0.95) == 0.0
    assert found.lower(0.95) == pytest.approx(-0.03 * found.other, abs=1e-3)


def test_how_many_users_it_would_take() -> None:
    same = answered(right(1, 100)).answers
    found = of(same, same, weights_of(100, 100, 0))[0]
    needed = found.needed_users(0.01, 0.95)
    assert needed is not None
    assert found.other * unseen_share(needed, 0.95) < 0.01 <= found.other * unseen_share(int(needed / 1.15), 0.95)
    lost = Difference("accuracy", 100, 0.9, 0.95, -0.05, np.full(100, -0.05))
    assert lost.needed_users(0.01, 0.95) is None


@pytest.mark.parametrize("users", [40, 300])
def test_of_equal_models_no_more_are_called_certainly_worse_than_promised(users: int) -> None:
    """All figures together: six comparisons with one, six with another, one in twenty at most."""
    alarms = 0
    for seed in range(120):
        generator = np.random.default_rng(seed)
        shared = right(seed + 10_000, users)
        models = []
        for _ in range(3):
            redrawn = generator.random(shared.shape) < 0.1
            said = np.where(redrawn, generator.random(shared.shape) < 0.9, shared)
            models.append(answered(said, recall=np.clip(generator.normal(0.8, 0.1, users), 0, 1)).answers)
        weights = weights_of(users, 300, seed)
        found = [*of(models[0], models[1], weights), *of(models[0], models[2], weights)]
        alarms += min(certain_bounds(found, 0.05)) < 0
    assert alarms <= 14  # 6 expected; more than 14 of 120 has a chance below 0.2 %


def test_a_loss_that_never_varies_is_certain_and_none_is_not() -> None:
    constant = Difference("accuracy", 50, 0.8, 0.9, -0.1, np.full(100, -0.1))
    none = Difference("accuracy", 50, 0.9, 0.9, 0.0, np.zeros(100))
    assert [bound < 0 for bound in certain_bounds([constant, none], 0.05)] == [True, False]


def test_students_quantile_is_near_the_tables() -> None:
    assert student(1.6449, 31) == pytest.approx(1.697, abs=2e-3)
    assert student(2.3263, 31) == pytest.approx(2.457, abs=0.02)
    assert math.isclose(student(1.6449, 10**6), 1.6449, abs_tol=1e-4)
