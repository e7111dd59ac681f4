"""What else learns from friendships: logistic regression, and two towers as TensorFlow Recommenders trains them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.outcomes_data import Friends
from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.matrix.split import Part
from trainer.model import TwoTower
from trainer.pairs import label_pairs

_BATCH, _TEMPERATURE = 1024, 0.1


def svd_products(world: Friends) -> Callable[[Rows, Rows], Floats]:
    """Logistic regression of the products of both users' numbers, on friendships and strangers as popular."""
    from sklearn.linear_model import LogisticRegression

    pairs, labels = label_pairs(world.rows, world.learnable)
    model = LogisticRegression(max_iter=300).fit(pairs[:, 0] * pairs[:, 1], labels)
    weights = model.coef_[0].astype(np.float32)
    return lambda asked, others: (world.rows[asked] * weights) @ world.rows[others].T


def retrieval_seconds(world: Friends, model: TwoTower, epochs: int) -> float:
    """Seconds of `fit` for the same friendships: both ways round, as the retrieval task knows no undirected ones.

    In-batch softmax with the correction for popular users, batches of 1,024, Adam; no dev labels, nothing masked.
    """
    edges = world.edges[(world.part[world.edges] == Part.TRAIN).all(axis=1)]
    both = np.concatenate([edges, edges[:, ::-1]])
    share = np.log(np.maximum(np.bincount(both[:, 1], minlength=len(world.rows)), 1) / len(both)).astype(np.float32)
    rows = tf.constant(world.rows)
    batches = (
        tf.data.Dataset.from_tensor_slices((both, share[both[:, 1]]))
        .shuffle(len(both), seed=0)
        .batch(_BATCH)
        .map(lambda ends, popular: (tf.gather(rows, ends[:, 0]), tf.gather(rows, ends[:, 1]), popular))
        .map(lambda query, candidate, popular: ((query, candidate, popular),))
    )
    task = _Retrieval(model.query, model.candidate)
    task.compile(optimizer=keras.optimizers.Adam(1e-3))
    start = time.perf_counter()
    task.fit(batches, epochs=epochs, verbose=0)
    return time.perf_counter() - start


class _Retrieval(keras.Model):  # type: ignore[misc]
    """The retrieval task over two towers."""

    def __init__(self, query: Any, candidate: Any) -> None:
        super().__init__(name="retrieval")
        self.query, self.candidate = query, candidate

    def call(self, inputs: Any, training: bool = False) -> Any:
        query, candidate, popular = inputs
        alike = tf.matmul(
            self.query(query, training=training), self.candidate(candidate, training=training), False, True
        )
        return alike / _TEMPERATURE - popular[None, :]

    def compute_loss(self, _x: Any, _y: Any, y_pred: Any, *_: Any, **__: Any) -> Any:
        """Each query's own candidate against the others in the batch."""
        own = tf.range(tf.shape(y_pred)[0])
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(own, y_pred))
