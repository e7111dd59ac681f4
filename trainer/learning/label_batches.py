"""Batches of labels: positive ones, which are strangers to one another, and some negative ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.policies import FitPolicy
from stores.feature_store import Floats
from trainer.learning.label_data import LabelData
from trainer.matrix.embeddings import Rows

_BATCHES = 6  # an epoch has at least so many: fewer are too few steps, more have too few strangers each
_SMALLEST = 32


@dataclass(frozen=True, slots=True)
class LabelBatch:
    """Some labels.

    Attributes:
        users, others: (batch,) rows of the two users of each positive label.
        weight: (batch,) weight of each.
        known: (batch, batch) whether user and other are a known positive pair, or one user; False on the diagonal.
        log_share_users, log_share_others: (batch,) log of the share of each among all ends of positive labels.
        refused: (negatives, 2) rows of negative labels, at most `hard_negatives` for each positive one.
        refused_weight: (negatives,).
    """

    users: Rows
    others: Rows
    weight: Floats
    known: NDArray[np.bool_]
    log_share_users: Floats
    log_share_others: Floats
    refused: Rows
    refused_weight: Floats


def batch_size(labels: int, policy: FitPolicy) -> int:
    """The largest number of positive labels in a batch."""
    return min(policy.batch_labels, max(_SMALLEST, -(-labels // _BATCHES)))


def label_batch_count(labels: int, policy: FitPolicy) -> int:
    """Number of batches in an epoch."""
    return -(-labels // batch_size(labels, policy))


def label_batches(data: LabelData, policy: FitPolicy, generator: np.random.Generator) -> Iterator[LabelBatch]:
    """One epoch: every positive label once, in random order; a label without direction from a random end."""
    positives, negatives = data.epoch(generator)
    count = label_batch_count(len(positives), policy)
    popularity = data.partners.popularity
    log_share = np.log(np.maximum(popularity, 1) / max(popularity.sum(), 1)).astype(np.float32)
    refused = np.array_split(generator.permutation(len(negatives)), count)
    for chosen, against in zip(np.array_split(generator.permutation(len(positives)), count), refused, strict=True):
        pairs = _turned(positives.pairs[chosen], generator, directed=positives.directed)
        users, others = pairs[:, 0], pairs[:, 1]
        known = data.partners.among(users, others)
        np.fill_diagonal(known, val=False)
        few = against[: policy.hard_negatives * len(chosen)]
        yield LabelBatch(
            users,
            others,
            positives.weight[chosen],
            known,
            log_share[users],
            log_share[others],
            _turned(negatives.pairs[few], generator, directed=negatives.directed),
            negatives.weight[few],
        )


def _turned(pairs: Rows, generator: np.random.Generator, *, directed: bool) -> Rows:
    """Each pair from a random end; unchanged where labels are directed."""
    if directed:
        return pairs
    return np.asarray(np.where(generator.random((len(pairs), 1)) < 0.5, pairs[:, ::-1], pairs))
