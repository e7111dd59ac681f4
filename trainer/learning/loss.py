"""The loss of a batch in which every pair is labelled, and the calibration of cosines.

Let s_ij be the cosine of two users' directions, t_ij that of their embeddings, and y_ij = [s_ij > threshold]. Over all
pairs of the batch except (i, i):

    pair      weighted mean of BCE(sigmoid(a t_ij + b), y_ij) / a      a scale, b bias, both learned
    distance  weighted mean of (t_ij - s_ij)^2                         weighted as the pairs are
    ranking   mean over i of KL(softmax_j(s_ij / T) || softmax_j(t_ij / T))

Similar pairs together weigh 1 and dissimilar ones `negative_ratio`, whatever their number; with hard negatives, half of
that weight goes to the dissimilar pairs with the highest cosine. The pair loss is divided by the scale, so its gradient
by a cosine is at most 1 however steep the sigmoid is, and the three terms keep their proportion from cycle to cycle.
The ranking loss is the listwise one of ListNet (Cao et al., ICML 2007).
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from schemas.policies import FitPolicy
from trainer.learning.shapes import Tensor, check_shapes

_FAR = -1e9  # a logit of probability 0
_MAX_SCALE, _MIN_SCALE = 1000.0, 1.0
_NEWTON_ROUNDS, _LONGEST_STEP, _SETTLED, _SHORTEST_SHARE = 200, 100.0, 1e-3, 1e-9


_PAIRS = ("batch", "batch")


def pair_weights(similar: Tensor, others: Tensor, logits: Tensor, negative_ratio: int, hard_negatives: int) -> Tensor:
    """Weights of the pairs of a batch, summing to 1.

    Args:
        similar: (batch, batch) 1 where the pair is similar; the diagonal does not count.
        others: (batch, batch) 0 on the diagonal, else 1.
        logits: (batch, batch) the model's logit of each pair.
        negative_ratio: weight of all dissimilar pairs together, where all similar pairs have 1.
        hard_negatives: half of that weight goes to so many dissimilar users of each user who has a similar one, those
            that the model finds most alike.

    Returns:
        (batch, batch) weights.

    Raises:
        ValueError: an argument has another shape.
    """
    check_shapes(similar=(similar, _PAIRS), others=(others, _PAIRS), logits=(logits, _PAIRS))
    positive, negative = others * similar, others * (1.0 - similar)
    weights = tf.math.divide_no_nan(positive, tf.reduce_sum(positive))
    easy = tf.math.divide_no_nan(negative, tf.reduce_sum(negative))
    if hard_negatives:
        alike = tf.where(negative > 0, logits, _FAR)
        bar = tf.math.top_k(alike, tf.minimum(hard_negatives, tf.shape(alike)[1])).values[:, -1:]
        has_similar = tf.reduce_max(positive, axis=1, keepdims=True)
        hardest = negative * has_similar * tf.cast(alike >= bar, tf.float32)
        easy = 0.5 * easy + 0.5 * tf.math.divide_no_nan(hardest, tf.reduce_sum(hardest))
    weights += negative_ratio * easy
    found: Tensor = tf.math.divide_no_nan(weights, tf.reduce_sum(weights))
    return found


def batch_loss(
    cosine: Tensor,
    truth: Tensor,
    threshold: float,
    scale: Tensor | float,
    bias: Tensor | float,
    negative_ratio: int,
    policy: FitPolicy,
) -> tuple[Tensor, Tensor]:
    """Loss of a batch, and the weighted share of pairs that the model labels right; both are scalars.

    Args:
        cosine: (batch, batch) of the embeddings, queries by candidates.
        truth: (batch, batch) of the directions of the same users.
        threshold: above which the truth is similar.
        scale, bias: from cosine to logit.
        negative_ratio: of the pair policy.
        policy: hard negatives, and the weights of the terms.

    Raises:
        ValueError: `cosine` or `truth` has another shape.
    """
    check_shapes(cosine=(cosine, _PAIRS), truth=(truth, _PAIRS))
    own = tf.eye(tf.shape(cosine)[0])
    others = 1.0 - own
    similar = tf.cast(truth > threshold, tf.float32)
    logits = scale * cosine + bias
    weights = pair_weights(similar, others, tf.stop_gradient(logits), negative_ratio, policy.hard_negatives)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=similar, logits=logits)
    steepness = tf.maximum(tf.abs(tf.stop_gradient(scale)), _MIN_SCALE)
    loss = tf.reduce_sum(weights * entropy) / steepness
    if policy.distance_weight:
        loss += policy.distance_weight * tf.reduce_sum(weights * tf.square(cosine - truth))
    if policy.ranking_weight:
        loss += policy.ranking_weight * _ranking(cosine, truth, own, policy.ranking_temperature)
    right = tf.cast(tf.equal(logits > 0.0, similar > 0.5), tf.float32)
    return loss, tf.reduce_sum(weights * right)


def calibrate(
    cosine: NDArray[np.floating],
    similar: NDArray[np.bool_],
    start: float,
    middle: float | None = None,
    weight: NDArray[np.float64] | None = None,
) -> tuple[float, float]:
    """Scale and bias by logistic regression of `similar` on `cosine`, each (pairs,) (Platt 1999), by Newton's method.

    Where cosines separate the labels without error, the scale would grow for ever, so it ends at 1000.

    Args:
        cosine: of pairs.
        similar: their labels; both values occur.
        start: the first scale of the search.
        middle: the cosine with probability one half; None: fitted, too.
        weight: number of pairs that each stands for; None: one. The proportion of the labels decides the middle.
    """
    label = similar.astype(np.float64)
    counts = np.ones(len(cosine)) if weight is None else weight
    origin = float(np.average(cosine, weights=counts)) if middle is None else middle
    columns = [cosine.astype(np.float64) - origin] + ([np.ones(len(cosine))] if middle is None else [])
    design = np.stack(columns)
    line = np.zeros(len(design))
    line[0] = np.clip(start, _MIN_SCALE, _MAX_SCALE)
    if middle is None:
        ends = [np.average(cosine[kind], weights=counts[kind]) for kind in (similar, ~similar)]
        line[1] = -line[0] * ((ends[0] + ends[1]) / 2 - origin)
    now = _entropy(line, design, label, counts)
    for _ in range(_NEWTON_ROUNDS):
        probability = 1.0 / (1.0 + np.exp(-np.clip(line @ design, -60.0, 60.0)))
        slope = design @ (counts * (probability - label))
        curve = (design * (counts * probability * (1.0 - probability))) @ design.T + 1e-6 * np.eye(len(design))
        if (line[0] >= _MAX_SCALE and slope[0] < 0) or (line[0] <= _MIN_SCALE and slope[0] > 0):
            slope[0] = curve[0, 1:] = curve[1:, 0] = 0.0  # it stays at its bound
        step = np.linalg.solve(curve, slope)
        share = min(1.0, _LONGEST_STEP / max(float(np.abs(step).max()), _SETTLED))
        end = _MAX_SCALE if step[0] < 0 else _MIN_SCALE
        ends_there = bool(step[0]) and share * abs(step[0]) >= abs(line[0] - end)
        if ends_there:
            share = float((line[0] - end) / step[0])
        after = line - share * step
        # With few pairs near the line and very many far from it, full steps overshoot for ever.
        then = _entropy(after, design, label, counts)
        while then > now and share > _SHORTEST_SHARE:
            share, ends_there = share / 2, False
            after = line - share * step
            then = _entropy(after, design, label, counts)
        if then > now:
            break
        line, now = after, then
        if ends_there:
            line[0] = end  # exactly the bound: from a rounding before it no step is possible, and the bias would stay
        elif share * float(np.abs(step).max()) < _SETTLED:
            break
    bias = float(line[1]) if middle is None else 0.0
    return float(line[0]), bias - float(line[0]) * origin


def _entropy(
    line: NDArray[np.float64], design: NDArray[np.float64], label: NDArray[np.float64], counts: NDArray[np.float64]
) -> float:
    """The objective of logistic regression: the cross-entropy of the labels, weighted by `counts`."""
    logit = line @ design
    return float(counts @ (np.logaddexp(0.0, logit) - label * logit))


def _ranking(cosine: Tensor, truth: Tensor, own: Tensor, temperature: float) -> Tensor:
    """Mean over queries of the Kullback-Leibler divergence between the softmax of truth and of cosine, without self."""
    wanted = tf.nn.log_softmax(truth / temperature + _FAR * own)
    given = tf.nn.log_softmax(cosine / temperature + _FAR * own)
    chance = tf.exp(wanted)
    found: Tensor = tf.reduce_mean(tf.reduce_sum(tf.where(chance > 0, chance * (wanted - given), 0.0), axis=1))
    return found
