"""One optimizer step on a batch of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from schemas.policies import FitPolicy, Objective
from stores.feature_store import Floats
from trainer.learning.label_batches import LabelBatch
from trainer.learning.label_loss import outcome_loss, refusal_loss
from trainer.learning.loss import batch_loss
from trainer.learning.shapes import Tensor
from trainer.learning.training_state import LONGEST_GRADIENT
from trainer.learning.validation import ValidationExam
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower

_STEEP = 50.0  # scale of the similarity loss where both are learned; the model's own scale is for outcomes


@dataclass(frozen=True, slots=True)
class SimilarityToo:
    """What the objective `both` needs beside labels: the validation exam by similarity, and threshold and negative
    ratio of the pairs."""

    validation: ValidationExam | None
    threshold: float
    negative_ratio: int


def tensors(batch: LabelBatch, directions: Floats, policy: FitPolicy) -> list[Tensor]:
    """The arguments of the step; the last is directions of distinct users, where similarity is learned, too."""
    both = policy.objective is Objective.BOTH
    alike: Rows = np.unique(batch.users)[: policy.batch_users] if both else batch.users[:0]
    arrays = [
        directions[np.concatenate([batch.users, batch.refused[:, 0]])],
        directions[np.concatenate([batch.others, batch.refused[:, 1]])],
        batch.weight,
        batch.known,
        batch.log_share_users,
        batch.log_share_others,
        batch.refused_weight,
        directions[alike],
    ]
    return [tf.constant(array) for array in arrays]


def training_step(
    model: TwoTower, similarity: SimilarityToo, policy: FitPolicy, *, directed: bool
) -> Callable[..., tuple[Tensor, Tensor]]:
    """One optimizer step on `tensors`; gives the loss, and the share of strangers less alike than the other user."""
    variables = model.query.trainable_variables + model.candidate.trainable_variables
    optimizer, width = model.whole.optimizer, model.query.input_shape[1]
    rows, shares = tf.TensorSpec([None, width]), tf.TensorSpec([None])
    known_pairs = tf.TensorSpec([None, None], tf.bool)

    @tf.function(input_signature=[rows, rows, shares, known_pairs, shares, shares, shares, rows], autograph=False)  # type: ignore[untyped-decorator]
    def step(
        users: Tensor,
        others: Tensor,
        weight: Tensor,
        known: Tensor,
        log_share_users: Tensor,
        log_share_others: Tensor,
        refused_weight: Tensor,
        alike: Tensor,
    ) -> tuple[Tensor, Tensor]:
        count = tf.shape(weight)[0]
        truth = tf.matmul(users[:count], others[:count], transpose_b=True)
        with tf.GradientTape() as tape:
            query, candidate = model.query(users, training=True), model.candidate(others, training=True)
            cosine = tf.matmul(query[:count], candidate[:count], transpose_b=True)
            loss, right = outcome_loss(
                cosine, truth, known, weight, log_share_users, log_share_others, policy, directed=directed
            )
            refused = tf.reduce_sum(query[count:] * candidate[count:], axis=1)
            loss += refusal_loss(refused, refused_weight, cosine, known, policy)
            if policy.objective is Objective.BOTH:
                loss += _similarity_loss(model, alike, similarity, policy)
        gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, variables), LONGEST_GRADIENT)
        optimizer.apply(gradients, variables)
        return loss, right

    return step  # type: ignore[no-any-return]


def _similarity_loss(model: TwoTower, alike: Tensor, similarity: SimilarityToo, policy: FitPolicy) -> Tensor:
    query, candidate = model.query(alike, training=True), model.candidate(alike, training=True)
    loss, _ = batch_loss(
        tf.matmul(query, candidate, transpose_b=True),
        tf.matmul(alike, alike, transpose_b=True),
        similarity.threshold,
        _STEEP,
        -_STEEP * similarity.threshold,
        similarity.negative_ratio,
        policy,
    )
    return loss
