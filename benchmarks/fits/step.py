"""Where the time of a full fit goes: one step of it, part by part, beside the same step compiled by XLA.

A part is a graph of its own, so the parts together take about as long as the step, not exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.data import generated
from benchmarks.listeners import placed
from benchmarks.rows import Row, Setup, comparison, told
from benchmarks.timing import in_turns
from schemas.policies import FitPolicy
from trainer.learning.batches import batch_count, batches
from trainer.learning.fit import TrainingData, training_step
from trainer.learning.loss import batch_loss
from trainer.learning.shapes import Tensor
from trainer.model import TwoTower

STEP = "fit.step"
_TARGET = 0.9


def parts(setup: Setup) -> list[Row]:
    """Milliseconds of a step, and of its parts."""
    listeners = placed(setup.folder, "listeners", generated(setup.size(10_000, 600)), 0.8)
    data, policy = listeners.data(), listeners.settings.fit
    keras.utils.set_random_seed(0)
    model = listeners.model()
    given, drawn = _drawn(data, policy)
    step: Any = training_step(model, data.threshold, data.negative_ratio, policy)
    ours, compiled = _both(step, tf.function(step.python_function, jit_compile=True), given, setup)
    steps = policy.full_epochs * batch_count(len(data.anchors.rows), len(data.train), policy.batch_users)
    users, width = data.directions.shape
    note = (
        f"{policy.batch_users} users in a batch, {width} numbers each; a full fit of {users:,} users: up to {steps:,}"
    )
    rows = [comparison(STEP, ours, "compiled by XLA", compiled, "ms", ratio=compiled / ours, least=_TARGET, note=note)]
    for name, graph in _graphs(model, data, policy).items():
        taken, _ = _both(tf.function(graph), _nothing, given, setup)
        rows.append(told(f"{STEP}.{name}", taken, "ms", note=f"{taken / ours:.0%} of the step"))
    return [*rows, told(f"{STEP}.batch", drawn, "ms", note="to draw its users; no part of the step")]


def _drawn(data: TrainingData, policy: FitPolicy) -> tuple[list[Tensor], float]:
    """The batches of an epoch, and the milliseconds that one takes to draw."""
    generator = np.random.default_rng(0)

    def draw() -> list[Any]:
        return list(batches(data.anchors.rows, data.train, data.neighbours, policy.batch_users, generator))

    rows = draw()
    taken, _ = in_turns(draw, lambda: None, 3)
    return [tf.constant(data.directions[some]) for some in rows[:-1] or rows], taken.median / len(rows) * 1000


def _both(
    one: Callable[[Tensor], Any], other: Callable[[Tensor], Any], given: Sequence[Tensor], setup: Setup
) -> tuple[float, float]:
    """Milliseconds that each takes for a batch, the median of rounds in turns; both have run before."""

    def run(work: Callable[[Tensor], Any]) -> list[Any]:
        return [work(batch) for batch in given]

    run(one)
    run(other)
    mine, its = in_turns(lambda: run(one), lambda: run(other), setup.size(5, 1))
    return mine.median / len(given) * 1000, its.median / len(given) * 1000


def _nothing(_directions: Tensor) -> None:
    """What a part is timed beside."""


def _graphs(model: TwoTower, data: TrainingData, policy: FitPolicy) -> dict[str, Callable[[Tensor], Any]]:
    """The parts of a step, by name."""
    variables = model.whole.trainable_variables
    ends = model.query.trainable_variables + model.candidate.trainable_variables
    ones = [tf.ones_like(variable) for variable in variables]
    scale, bias = model.scale()

    def truth(directions: Tensor) -> Tensor:
        found: Tensor = tf.matmul(directions, directions, transpose_b=True)
        return found

    def towers(directions: Tensor) -> list[Tensor]:
        with tf.GradientTape() as tape:
            query, candidate = model.query(directions, training=True), model.candidate(directions, training=True)
            total = tf.reduce_sum(query) + tf.reduce_sum(candidate)
        return list(tape.gradient(total, ends))

    def loss(directions: Tensor) -> Tensor:
        cosine = directions[:, :1] * tf.transpose(directions[:, 1:2])  # any; the product of embeddings is below
        with tf.GradientTape() as tape:
            tape.watch(cosine)
            found, _ = batch_loss(cosine, cosine, data.threshold, scale, bias, data.negative_ratio, policy)
        gradient: Tensor = tape.gradient(found, cosine)
        return gradient

    def products(directions: Tensor) -> list[Tensor]:
        """Of embeddings, and what their gradient takes: three products of one size."""
        wide = directions[:, :128]
        cosine = tf.matmul(wide, wide, transpose_b=True)
        return [tf.matmul(cosine, wide), tf.matmul(cosine, wide, transpose_a=True)]

    def optimizer(_directions: Tensor) -> None:
        clipped, _ = tf.clip_by_global_norm(ones, 1.0)
        model.whole.optimizer.apply(clipped, variables)

    return {"towers": towers, "truth": truth, "products": products, "loss": loss, "optimizer": optimizer}
