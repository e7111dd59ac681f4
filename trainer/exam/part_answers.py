"""A model's answers about all pairs of some held-out users, summed up by user."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.exam.answers import Doubles
from trainer.exam.parts import Block, Part, compared, joined
from trainer.exam.retrieval import Best
from trainer.matrix.cosines import sigmoid

SECONDS_A_PAIR = 3e-8
_BINS = 512  # of the ranking of all pairs, each with as many similar or nearly similar pairs of the sample
_LOWEST = 0.0005  # share of the sampled similar pairs that lie below all bins
_ORDINARY = 0.45  # quantile of the sampled dissimilar pairs: half are the nearest, and a tenth of the others lies above
_CELLS = 2**16  # a cosine finds its bin through a table of so many cells
_TENTHS = 10
_LEAST_CLAIM = 0.1  # probability from which on calibration is judged


@dataclass(frozen=True, slots=True)
class Ranking:
    """Bins of cosines, by which the ranking of all pairs is summed up by user.

    Each bin holds about the same number of sampled pairs, so bins are fine where the pairs that matter lie, however a
    model stretches its cosines.
    """

    low: float
    table: NDArray[np.int64]
    """(cells,) the bin of each cell of [low, 1], the most alike in bin 0."""

    def bins(self, cosine: Floats) -> NDArray[np.int64]:
        """The bin of each of `cosine` (n,), all above `low`."""
        cells = ((cosine - self.low) * (_CELLS / (1.0 - self.low))).astype(np.int64)
        found: NDArray[np.int64] = self.table[np.clip(cells, 0, _CELLS - 1)]
        return found


def ranking_of(cosine: NDArray[np.float64], similar: NDArray[np.bool_]) -> Ranking:
    """The bins for a model with these cosines (pairs,) of the sampled pairs, which are `similar` or not."""
    known = np.isfinite(cosine)
    if not (known & similar).any():
        return Ranking(1.0 - 1e-6, np.zeros(_CELLS, dtype=np.int64))
    low = float(np.quantile(cosine[known & similar], _LOWEST))
    if (known & ~similar).any():  # most pairs of a poor model need no fine bins
        low = max(low, float(np.quantile(cosine[known & ~similar], _ORDINARY)))
    low = min(low, 1.0 - 1e-6)
    inside = cosine[known & (cosine >= low)]
    edges = np.unique(np.quantile(inside, np.arange(1, _BINS) / _BINS))
    cells = low + (np.arange(_CELLS) + 0.5) * (1.0 - low) / _CELLS
    return Ranking(low, _BINS - 1 - np.searchsorted(edges, cells, side="right"))


@dataclass(frozen=True, slots=True)
class PartAnswers:
    """Sums by user, as in `trainer.exam.answers.Answers`, and the nearest users."""

    said: Doubles
    said_right: Doubles
    ranked: Doubles
    ranked_similar: Doubles
    gap: Doubles
    claimed: Doubles
    best: Best

    @classmethod
    def of_all(cls, parts: Sequence[PartAnswers]) -> PartAnswers:
        """Those of all parts, of which there is at least one."""
        sums = ("said", "said_right", "ranked", "ranked_similar", "gap", "claimed")
        together = {name: np.concatenate([getattr(part, name) for part in parts]) for name in sums}
        return cls(**together, best=joined([part.best for part in parts]))


def answers_of(
    part: Part, blocks: Iterable[Block], line: tuple[float, float], ranking: Ranking, nearest: int
) -> PartAnswers:
    """The answers of a model with this scale and bias; vectors are its embeddings.

    Where it gives no number for a pair, it calls the pair dissimilar.
    """
    count = len(part.rows)
    said, said_right = np.zeros(count), np.zeros(count)
    ranked, ranked_similar = np.zeros((count, _BINS)), np.zeros((count, _BINS))
    gap, claimed = np.zeros((count, _TENTHS)), np.zeros((count, _TENTHS))
    best = Best(count, nearest)
    scale, bias = line
    for block, bits in zip(blocks, part.bits, strict=True):
        cosine = compared(part, block)
        similar = np.unpackbits(bits, axis=1, count=len(block.rows)).astype(bool)
        calls = scale * cosine + bias > 0 if scale > 0 else np.zeros_like(similar)
        said += calls.sum(axis=1)
        said_right += (calls & similar).sum(axis=1)
        best.add(cosine, block.rows)

        alike = np.nonzero(cosine > ranking.low)
        place = alike[0] * _BINS + ranking.bins(cosine[alike])
        ranked += np.bincount(place, minlength=count * _BINS).reshape(count, _BINS)
        hits = np.bincount(place[similar[alike]], minlength=count * _BINS)
        ranked_similar += hits.reshape(count, _BINS)

        if scale > 0:
            claims = np.nonzero(cosine > (np.log(_LEAST_CLAIM / (1 - _LEAST_CLAIM)) - bias) / scale)
            probability = sigmoid(scale * cosine[claims].astype(np.float64) + bias)
            tenth = np.minimum((probability * _TENTHS).astype(np.int64), _TENTHS - 1)
            place = claims[0] * _TENTHS + tenth
            size = count * _TENTHS
            gap += np.bincount(place, probability - similar[claims], minlength=size).reshape(count, _TENTHS)
            claimed += np.bincount(place, minlength=size).reshape(count, _TENTHS)
    return PartAnswers(said, said_right, ranked, ranked_similar, gap, claimed, best)
