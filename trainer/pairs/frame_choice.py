"""The choice of a frame: as few axes, and as coarse numbers, as make mining cheapest for the data at hand.

Estimated on a sample, in the time that one coordinate takes in a float32 product: the product of short rows for every
pair, and a full dot product for every pair that its bounds leave open. Whatever is chosen, the pairs are the same.
"""

from __future__ import annotations

import numpy as np

from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.pairs.bounds import Frame
from trainer.pairs.numbers import Numbers, fast_numbers

_TRIED = (8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
_SAMPLED_ROWS, _SAMPLED_OTHERS, _SAMPLED_FOR_AXES = 128, 8192, 20_000
_GATHERING = 60  # how much dearer a coordinate is in a dot product of two rows fetched from memory than in a product


def choose_frame(
    directions: Floats, everyone: Rows, threshold: float, cap: int | None, kinds: tuple[Numbers, ...] | None = None
) -> Frame:
    """The cheapest frame for the rows of `everyone`.

    Args:
        directions: (capacity, width) unit rows.
        everyone: rows with a user.
        threshold, cap: of the pair policy.
        kinds: of numbers to choose from; None tries what this machine is fast with.
    """
    width = directions.shape[1]
    if not len(everyone):
        return Frame.whole(width)
    generator = np.random.default_rng(0)
    sample = directions[_some(everyone, _SAMPLED_FOR_AXES, generator)].astype(np.float64)
    axes = np.linalg.eigh(sample.T @ sample)[1][:, ::-1]
    some = directions[_some(everyone, _SAMPLED_ROWS, generator)]
    others = directions[_some(everyone, _SAMPLED_OTHERS, generator)]
    # What the cap nearest of all are in the sample.
    nearest = None if cap is None else max(1, round(cap * len(others) / len(everyone)))
    frames = [
        Frame(np.ascontiguousarray(axes[:, :kept]), numbers)
        for numbers in kinds or fast_numbers()
        if numbers is Numbers.FLOAT32 or threshold > numbers.error(width)  # or it would have no line
        for kept in (*(kept for kept in _TRIED if kept < width), width)
    ]
    return min(frames, key=lambda frame: _cost(frame, some, others, threshold, nearest))


def _cost(frame: Frame, some: Floats, others: Floats, threshold: float, nearest: int | None) -> float:
    left, right = (frame.bounds(frame.shorten(rows)) for rows in (some, others))
    middle = frame.numbers.load(left.short) @ frame.numbers.load(right.short).T
    upper, lower = middle + np.float32(left.slack), middle - np.float32(left.slack)
    if left.rest is not None and right.rest is not None:
        lower -= 2 * np.outer(left.rest, right.rest)
    if nearest is None:
        unsure = (upper > threshold) & (lower <= threshold)
    else:
        line = np.partition(lower, -nearest, axis=1)[:, -nearest] if nearest <= len(others) else np.float32(-1)
        unsure = upper > np.maximum(line, threshold).reshape(-1, 1)
    return float(frame.numbers.price * frame.short_width + unsure.mean() * _GATHERING * others.shape[1])


def _some(rows: Rows, count: int, generator: np.random.Generator) -> Rows:
    return rows if len(rows) <= count else np.sort(generator.choice(rows, count, replace=False))
