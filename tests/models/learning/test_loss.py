"""The loss of a batch against its closed form, the weights of its pairs, and the calibration of cosines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray

from schemas.policies import FitPolicy
from trainer.learning.loss import batch_loss, calibrate, pair_weights

THRESHOLD, SCALE, BIAS = 0.5, 8.0, -3.0


def unit(count: int, width: int, seed: int) -> NDArray[np.float32]:
    rows = np.random.default_rng(seed).normal(size=(count, width))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture
def truth() -> NDArray[np.float32]:
    rows = unit(30, 3, 0)
    rows[-1] = -rows[:-1].sum(axis=0) / np.linalg.norm(rows[:-1].sum(axis=0))
    product: NDArray[np.float32] = rows @ rows.T
    product[-1, :-1] = product[:-1, -1] = np.minimum(product[-1, :-1], 0.4)  # somebody with no similar user
    return product


@pytest.fixture
def cosine() -> NDArray[np.float32]:
    return unit(30, 3, 1) @ unit(30, 3, 2).T


def off_diagonal(count: int) -> NDArray[np.bool_]:
    return ~np.eye(count, dtype=bool)


def weights_of(similar: NDArray[np.bool_], logits: NDArray[np.float32], ratio: int, hard: int) -> NDArray[np.float32]:
    others = off_diagonal(len(similar)).astype(np.float32)
    found = pair_weights(tf.constant(similar, tf.float32), tf.constant(others), tf.constant(logits), ratio, hard)
    return np.asarray(found)


@pytest.mark.parametrize("ratio", [1, 3])
@pytest.mark.parametrize("hard", [0, 1, 2])
def test_both_kinds_of_pairs_weigh_as_they_should(
    truth: NDArray[np.float32], cosine: NDArray[np.float32], ratio: int, hard: int
) -> None:
    similar, others = truth > THRESHOLD, off_diagonal(30)
    weights = weights_of(similar, cosine, ratio, hard)
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert (np.diag(weights) == 0).all()
    positive, negative = weights[similar & others], weights[~similar & others]
    assert positive.sum() * ratio == pytest.approx(negative.sum(), rel=1e-4)
    np.testing.assert_allclose(positive, positive[0])
    assert (negative > 0).all()
    heavy = (weights > negative.min() * 1.01) & ~similar & others
    if not hard:
        assert not heavy.any()
        return
    for row in range(30):
        alike = np.where(~similar[row] & others[row], cosine[row], -np.inf)
        wanted = set(np.argsort(alike)[-hard:].tolist()) if (similar & others)[row].any() else set()
        assert set(np.flatnonzero(heavy[row]).tolist()) == wanted
    assert heavy.sum() <= hard * (similar & others).sum()
    assert weights[heavy].sum() == pytest.approx(0.5 * negative.sum() + heavy.sum() * negative.min(), rel=1e-3)


@pytest.mark.parametrize("everybody", [True, False])
def test_a_batch_of_one_kind_has_finite_weights(everybody: bool) -> None:
    similar = np.full((5, 5), everybody)
    weights = weights_of(similar, np.zeros((5, 5), np.float32), 1, 2)
    assert weights.sum() == pytest.approx(1)
    assert np.isfinite(weights).all()


def loss_of(cosine: Any, truth: Any, **policy: Any) -> tuple[float, float]:
    loss, right = batch_loss(
        tf.constant(cosine),
        tf.constant(truth),
        THRESHOLD,
        tf.constant(SCALE),
        tf.constant(BIAS),
        2,
        FitPolicy(**{"distance_weight": 0.0, "ranking_weight": 0.0, **policy}),
    )
    return float(loss), float(right)


def test_the_terms_are_what_the_docstring_says(truth: NDArray[np.float32], cosine: NDArray[np.float32]) -> None:
    similar, others = truth > THRESHOLD, off_diagonal(30)
    weights = weights_of(similar, SCALE * cosine + BIAS, 2, 1).astype(np.float64)
    chance = 1 / (1 + np.exp(-(SCALE * cosine.astype(np.float64) + BIAS)))
    entropy = -np.where(similar, np.log(chance), np.log(1 - chance))
    pair = (weights * entropy).sum() / SCALE
    assert loss_of(cosine, truth)[0] == pytest.approx(pair, rel=1e-4)
    assert loss_of(cosine, truth)[1] == pytest.approx((weights * ((chance > 0.5) == similar)).sum(), rel=1e-4)

    distance = (weights * (cosine - truth) ** 2).sum()
    assert loss_of(cosine, truth, distance_weight=3.0)[0] == pytest.approx(pair + 3 * distance, rel=1e-4)

    def softmax(values: NDArray[np.float32]) -> NDArray[np.float64]:
        powers = np.where(others, np.exp(values.astype(np.float64) / 0.2), 0)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    wanted, given = softmax(truth), softmax(cosine)
    divergence = (wanted * np.log(np.where(others, wanted / np.where(others, given, 1), 1))).sum(axis=1).mean()
    found = loss_of(cosine, truth, ranking_weight=0.5, ranking_temperature=0.2)[0]
    assert found == pytest.approx(pair + 0.5 * divergence, rel=1e-4)


def test_who_keeps_the_cosine_pays_for_the_pairs_alone(truth: NDArray[np.float32]) -> None:
    alone, right = loss_of(truth, truth)
    assert loss_of(truth, truth, distance_weight=5.0, ranking_weight=5.0)[0] == pytest.approx(alone, abs=1e-6)
    assert right < 1  # the line is at 3/8, not at the threshold


def test_a_steeper_sigmoid_pulls_no_harder(truth: NDArray[np.float32], cosine: NDArray[np.float32]) -> None:
    pulls = []
    for scale in (10.0, 1000.0):
        given = tf.constant(cosine)
        with tf.GradientTape() as tape:
            tape.watch(given)
            policy = FitPolicy(distance_weight=0, ranking_weight=0)
            loss, _ = batch_loss(given, tf.constant(truth), THRESHOLD, tf.constant(scale), -scale / 2, 1, policy)
        pulls.append(float(tf.reduce_sum(tf.abs(tape.gradient(loss, given)))))
    assert max(pulls) <= 1.0


def test_calibration_finds_the_line_that_the_labels_were_drawn_by() -> None:
    draw = np.random.default_rng(0)
    cosine = draw.uniform(-1, 1, 40_000).astype(np.float32)
    similar = draw.random(40_000) < 1 / (1 + np.exp(-(12.0 * cosine - 6.0)))
    for start in (1.0, 50.0, 1000.0):
        scale, bias = calibrate(cosine, similar, start)
        assert scale == pytest.approx(12, rel=0.05)
        assert -bias / scale == pytest.approx(0.5, abs=0.01)


def test_calibration_can_leave_the_line_where_it_is() -> None:
    draw = np.random.default_rng(0)
    cosine = draw.uniform(-1, 1, 40_000)
    similar = draw.random(40_000) < 1 / (1 + np.exp(-(12.0 * cosine - 6.0)))
    scale, bias = calibrate(cosine, similar, 50.0, middle=0.5)
    assert -bias / scale == pytest.approx(0.5)
    assert scale == pytest.approx(12, rel=0.05)
    assert -np.divide(*calibrate(cosine, similar, 50.0, middle=0.3)[::-1]) == pytest.approx(0.3)


def test_calibration_of_cosines_that_tell_all_apart_ends() -> None:
    cosine = np.linspace(-1, 1, 2000)
    scale, bias = calibrate(cosine, cosine > 0.7, 50.0)
    assert scale <= 1000
    assert -bias / scale == pytest.approx(0.7, abs=0.005)
    assert np.isfinite(bias)


def test_calibration_of_cosines_that_say_nothing_or_the_opposite_stays_finite() -> None:
    draw = np.random.default_rng(0)
    cosine = draw.uniform(-1, 1, 500)
    for similar in (draw.random(500) < 0.5, cosine < 0):
        scale, bias = calibrate(cosine, similar, 50.0)
        assert scale >= 1
        assert np.isfinite(bias)
    same = np.full(500, 0.25)
    assert np.isfinite(calibrate(same, draw.random(500) < 0.5, 50.0)).all()


@pytest.mark.parametrize("seed", [181, 561, 613, 1535, 2092])
def test_a_search_whose_first_steps_meet_the_least_scale_goes_on(seed: int) -> None:
    """It had stopped there, a rounding before the end, with a bias that had hardly moved: all or nobody was similar."""
    draw = np.random.default_rng(seed)
    count, threshold, noise = int(draw.integers(50, 4000)), draw.uniform(0.3, 0.95), 10 ** draw.uniform(-5, -1.5)
    truth = np.clip(draw.normal(draw.uniform(-0.2, 0.3), draw.uniform(0.05, 0.4), count), -1, 1)
    few = max(3, int(count * 10 ** draw.uniform(-2.5, -0.5)))
    truth[:few] = draw.uniform(threshold, 1, few)
    similar = truth > threshold
    cosine = np.clip(truth + draw.normal(0, noise, count), -1, 1)
    weight = np.where(similar, 1.0, draw.uniform(1, 50)) if draw.random() < 0.5 else np.ones(count)
    scale, bias = calibrate(cosine, similar, 300.0, weight=weight)
    assert scale > 500
    assert -bias / scale == pytest.approx(threshold, abs=0.02)


@pytest.mark.parametrize(("scale", "far"), [(50.0, 1e3), (300.0, 1e3), (800.0, 1e6)])
def test_pairs_in_their_true_proportion_get_the_line_that_made_them(scale: float, far: float) -> None:
    """Many far pairs for each near one, given by weights: the middle stays where similar and dissimilar meet."""
    draw = np.random.default_rng(0)
    cosine = np.concatenate([draw.uniform(0.5, 1.0, 20_000), draw.uniform(-0.3, 0.5, 2_000)])
    similar = draw.random(len(cosine)) < 1 / (1 + np.exp(np.clip(-scale * (cosine - 0.8), -50, 50)))
    weight = np.repeat([1.0, far], [20_000, 2_000])
    found, bias = calibrate(cosine, similar, 50.0, weight=weight)
    assert -bias / found == pytest.approx(0.8, abs=0.005)
    assert found == pytest.approx(scale, rel=0.15)
    repeated = calibrate(np.repeat(cosine, 2), np.repeat(similar, 2), 50.0)
    assert calibrate(cosine, similar, 50.0, weight=np.full(len(cosine), 2.0)) == pytest.approx(repeated, rel=1e-6)
    fixed, other = calibrate(cosine, similar, 50.0, 0.7, weight)
    assert -other / fixed == pytest.approx(0.7)


@pytest.mark.parametrize("start", [10.0, 50.0, 900.0])
@pytest.mark.parametrize(("apart", "spread"), [(0.9, 0.05), (0.85, 0.02), (0.82, 0.1)])
def test_the_line_of_an_uneven_sample_tells_as_many_similar_as_there_are(
    apart: float, spread: float, start: float
) -> None:
    """Very many dissimilar pairs around nothing, their edge among the few similar ones."""
    edges = np.linspace(-1, 1, 4001)
    centre = (edges[:-1] + edges[1:]) / 2
    far, near = np.exp(-((centre / 0.2) ** 2) / 2), np.exp(-(((centre - apart) / spread) ** 2) / 2)
    weight = np.concatenate([640_000 * far / far.sum() + 300 * near / near.sum(), 4_000 * near / near.sum()])
    cosine, similar = np.tile(centre, 2), np.repeat([False, True], len(centre))
    scale, bias = calibrate(cosine, similar, start, weight=weight)
    told = (weight / (1 + np.exp(-np.clip(scale * cosine + bias, -60, 60)))).sum()
    assert told == pytest.approx(weight[similar].sum(), rel=1e-3)
    other = calibrate(cosine, similar, 120.0, weight=weight)
    assert (scale, bias) == pytest.approx(other, rel=1e-2)
