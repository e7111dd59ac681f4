"""The loss of a batch of labels.

Let t_ij be the cosine of the query embedding of user i and the candidate embedding of other j, (i, i) a positive label,
K the other known positive pairs, T the temperature, and q_j the share of j among all ends of positive labels:

    outcome   weighted mean over i of -log softmax_j(t_ij / T - c log q_j)_i, (i, j) in K left out
    cosine    mean of (t_ij - s_ij)^2, s the cosine of the directions
    refused   weighted mean over labels that say not similar of softplus((t - m) / T), m half way between the batch's
              mean cosine of positive labels and of strangers

Two users of a batch are strangers unless their pair is known (in-batch softmax: TensorFlow Recommenders' retrieval
task). A popular user is in more batches, so the softmax pushes it away more often; c log q corrects that (Yi et al.
2019, Sampling-bias-corrected neural modeling). With c = 1 the model learns which users are likely, popular or not; with
c = 0 which are likelier than their popularity says. Labels without direction count from both ends.
"""

from __future__ import annotations

import tensorflow as tf

from schemas.policies import FitPolicy
from trainer.learning.shapes import Tensor, check_shapes

NEVER = float(tf.float32.min) / 100
"""A logit of probability 0 that leaves room for a sum, as in TensorFlow Recommenders."""


_PAIRS, _LABELS, _NEGATIVES = ("batch", "batch"), ("batch",), ("negatives",)


def outcome_logits(cosine: Tensor, known: Tensor, log_share: Tensor, policy: FitPolicy) -> Tensor:
    """(batch, batch) the input of the softmax over each row; `log_share` (batch,) belongs to the columns."""
    logits: Tensor = tf.where(
        known, NEVER, cosine / policy.temperature - policy.popularity_correction * log_share[None, :]
    )
    return logits


def outcome_loss(
    cosine: Tensor,
    truth: Tensor,
    known: Tensor,
    weight: Tensor,
    log_share_users: Tensor,
    log_share_others: Tensor,
    policy: FitPolicy,
    *,
    directed: bool,
) -> tuple[Tensor, Tensor]:
    """Loss of the outcome and the cosine term, and the share of strangers who are less alike than the other user.

    Args:
        cosine: (batch, batch) of the embeddings, users by others.
        truth: the same of the directions.
        known, weight, log_share_users, log_share_others: of a `LabelBatch`.
        policy: temperature, correction and weight of the cosine.
        directed: whether only the user looks for the other.

    Raises:
        ValueError: an argument has another shape.
    """
    check_shapes(
        cosine=(cosine, _PAIRS),
        truth=(truth, _PAIRS),
        known=(known, _PAIRS),
        weight=(weight, _LABELS),
        log_share_users=(log_share_users, _LABELS),
        log_share_others=(log_share_others, _LABELS),
    )
    share = tf.math.divide_no_nan(weight, tf.reduce_sum(weight))
    loss = tf.reduce_sum(share * _entropy(outcome_logits(cosine, known, log_share_others, policy)))
    if not directed:
        back = outcome_logits(tf.transpose(cosine), tf.transpose(known), log_share_users, policy)
        loss = (loss + tf.reduce_sum(share * _entropy(back))) / 2
    if policy.cosine_weight:
        loss += policy.cosine_weight * tf.reduce_mean(tf.square(cosine - truth))
    strangers = _strangers(known)
    ahead = tf.cast(tf.linalg.diag_part(cosine)[:, None] > cosine, tf.float32)
    return loss, tf.math.divide_no_nan(tf.reduce_sum(strangers * ahead), tf.reduce_sum(strangers))


def refusal_loss(refused: Tensor, weight: Tensor, cosine: Tensor, known: Tensor, policy: FitPolicy) -> Tensor:
    """Loss of labels that say not similar; 0 where there are none.

    Args:
        refused: (negatives,) cosines of their embeddings.
        weight: (negatives,).
        cosine, known: of the positive labels of the same batch.
        policy: the temperature.

    Raises:
        ValueError: an argument has another shape.
    """
    check_shapes(
        refused=(refused, _NEGATIVES), weight=(weight, _NEGATIVES), cosine=(cosine, _PAIRS), known=(known, _PAIRS)
    )
    strangers = _strangers(known)
    apart = tf.math.divide_no_nan(tf.reduce_sum(strangers * cosine), tf.reduce_sum(strangers))
    middle = tf.stop_gradient((tf.reduce_mean(tf.linalg.diag_part(cosine)) + apart) / 2)
    each = tf.nn.softplus((refused - middle) / policy.temperature)
    loss: Tensor = tf.math.divide_no_nan(tf.reduce_sum(weight * each), tf.reduce_sum(weight))
    return loss


def _entropy(logits: Tensor) -> Tensor:
    entropy: Tensor = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.range(tf.shape(logits)[0]), logits)
    return entropy


def _strangers(known: Tensor) -> Tensor:
    """(batch, batch) 1 where two are strangers."""
    strangers: Tensor = tf.linalg.set_diag(1.0 - tf.cast(known, tf.float32), tf.zeros(tf.shape(known)[0]))
    return strangers
