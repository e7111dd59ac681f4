"""The right answers of some held-out users: who is similar to them, exactly, and who is near."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.exam.parts import Block, Part, compared
from trainer.exam.retrieval import Best
from trainer.matrix.embeddings import Rows
from trainer.pairs.similarity import similarity

SECONDS_A_PAIR = 5e-8
_CLOSE = 1e-5  # more than the error of a float32 product of unit rows


@dataclass(frozen=True, slots=True)
class Labels:
    """Of the users of a part.

    Attributes:
        best: the nearest.
        hard: the nearest of those who are not similar.
        bits: for each block of the corpus, (asked, bytes) which of its users are similar, packed along rows.
        similar: (asked,) number of similar users.
    """

    best: Best
    hard: Best
    bits: tuple[NDArray[np.uint8], ...]
    similar: Rows


def labels_of(part: Part, blocks: Iterable[Block], threshold: float, nearest: int, hard: int) -> Labels:
    """The labels of a part by directions; `nearest` and `hard` are how many are kept."""
    best, others = Best(len(part.rows), nearest), Best(len(part.rows), hard)
    bits, count = [], np.zeros(len(part.rows), dtype=np.int64)
    for block in blocks:
        cosine = compared(part, block)
        similar = cosine > threshold
        left, right = np.nonzero(np.abs(cosine - threshold) < _CLOSE)
        both = np.concatenate([part.vectors[left], block.vectors[right]])
        pairs = np.arange(len(left))
        similar[left, right] = similarity(both, pairs, pairs + len(left)) > threshold
        best.add(cosine, block.rows)
        others.add(np.where(similar, -np.inf, cosine), block.rows)
        bits.append(np.packbits(similar, axis=1))
        count += similar.sum(axis=1)
    return Labels(best, others, tuple(bits), count)
