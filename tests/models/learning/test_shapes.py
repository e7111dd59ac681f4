"""A loss names the argument whose shape is wrong, the shape that was expected, and the one that was found."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from schemas.policies import FitPolicy
from trainer.learning.label_loss import outcome_loss, refusal_loss
from trainer.learning.loss import batch_loss, pair_weights
from trainer.learning.shapes import check_shapes

SQUARE = ("batch", "batch")


def zeros(*shape: int) -> Any:
    return tf.zeros(shape)


def outcome(**other: Any) -> None:
    right = {
        "cosine": zeros(4, 4),
        "truth": zeros(4, 4),
        "known": tf.zeros((4, 4), tf.bool),
        "weight": zeros(4),
        "log_share_users": zeros(4),
        "log_share_others": zeros(4),
    }
    outcome_loss(**{**right, **other}, policy=FitPolicy(), directed=False)


def test_right_shapes_pass() -> None:
    outcome()
    batch_loss(zeros(4, 4), zeros(4, 4), 0.5, 1.0, 0.0, 1, FitPolicy())
    refusal_loss(zeros(0), zeros(0), zeros(4, 4), tf.zeros((4, 4), tf.bool), FitPolicy())


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: batch_loss(zeros(4, 3), zeros(4, 4), 0.5, 1.0, 0.0, 1, FitPolicy()),
            "`cosine` must have shape (batch, batch) with batch = 4, as `cosine` has; found shape (4, 3)",
        ),
        (
            lambda: batch_loss(zeros(4, 4), zeros(5, 5), 0.5, 1.0, 0.0, 1, FitPolicy()),
            "`truth` must have shape (batch, batch) with batch = 4, as `cosine` has; found shape (5, 5)",
        ),
        (
            lambda: batch_loss(zeros(4), zeros(4, 4), 0.5, 1.0, 0.0, 1, FitPolicy()),
            "`cosine` must have rank 2, (batch, batch); found shape (4,)",
        ),
        (
            lambda: pair_weights(np.zeros((4, 4)), np.zeros((1, 4)), np.zeros((4, 4)), 1, 1),
            "`others` must have shape (batch, batch) with batch = 4, as `similar` has; found shape (1, 4)",
        ),
        (
            lambda: outcome(weight=zeros(4, 1)),  # would be broadcast, and sum up wrongly
            "`weight` must have rank 1, (batch,); found shape (4, 1)",
        ),
        (
            lambda: outcome(log_share_others=zeros(1)),
            "`log_share_others` must have shape (batch,) with batch = 4, as `cosine` has; found shape (1,)",
        ),
        (
            lambda: refusal_loss(zeros(3), zeros(1), zeros(4, 4), tf.zeros((4, 4), tf.bool), FitPolicy()),
            "`weight` must have shape (negatives,) with negatives = 3, as `refused` has; found shape (1,)",
        ),
    ],
)
def test_a_wrong_shape_is_named_with_what_was_expected_and_found(call: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
        call()


def test_inside_a_graph_what_is_known_is_checked_while_it_is_traced() -> None:
    def step(cosine: Any, weight: Any) -> Any:
        check_shapes(cosine=(cosine, SQUARE), weight=(weight, ("batch",)))
        return tf.reduce_sum(cosine)

    def traced(*shapes: list[int | None] | None) -> None:
        tf.function(step, autograph=False).get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes))

    traced([None, None], [None])
    traced(None, [None])  # not even the rank is known
    traced([None, 4], [4])
    with pytest.raises(ValueError, match=r"`weight` must have rank 1, \(batch,\); found shape \(\?, 1\)"):
        traced([None, None], [None, 1])
    with pytest.raises(ValueError, match=r"`weight` must have shape \(batch,\) with batch = 4, as `cosine` has"):
        traced([None, 4], [5])
