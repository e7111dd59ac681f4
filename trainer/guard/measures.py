"""The measurements of the guard: plain numbers from rows, directions and names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from schemas.manifest import ScalarScale, SpaceInfo
from stores.feature_store import Floats
from stores.features.checks import CheckedRows
from trainer.matrix.embeddings import Rows, UserMatrix

_MOST_USERS = 20_000  # whose columns are measured; more would not move a mean by a hundredth
_PAIRED_USERS = 1_000  # users whose pairs are all counted
_SPREAD = 2.0  # the largest ratio of a column's spread between two scalings


@dataclass(frozen=True, slots=True)
class Moved:
    """Counts of unclaimed users that were read again."""

    sampled: int
    differing: int
    gone: int
    refused: int


def losses(known: set[str], present: set[str], refused: Collection[str]) -> tuple[int, int]:
    """How many `known` users are deleted, and how many are lost: deleted, or refused."""
    lost = known - present
    return len(lost.difference(refused)), len(lost)


def sample_unclaimed(matrix: UserMatrix, claimed: Collection[str], count: int, seed: int) -> list[str]:
    """`count` users of the matrix that the cycle did not claim, drawn by `seed`; all where there are fewer."""
    if not count:
        return []
    without = set(claimed)
    keys = [key for key in matrix.users()[0] if key not in without]
    return [keys[at] for at in _drawn(len(keys), count, seed)]


def moved(matrix: UserMatrix, sample: Collection[str], rows: CheckedRows) -> Moved:
    """The users of `sample` in the matrix beside their `rows` in the store now, compared number by number."""
    at = matrix.rows_of(rows.keys)
    same = (matrix.raw[[at[key] for key in rows.keys]] == rows.raw).all(axis=1)
    return Moved(
        sampled=len(sample),
        differing=int(np.count_nonzero(~same)),
        gone=len(sample) - len(rows.keys) - len(rows.refused),
        refused=len(rows.refused),
    )


def some(rows: Rows, seed: int) -> Rows:
    """`rows`, or a sample drawn by `seed` that is quick to measure."""
    chosen: Rows = rows[_drawn(len(rows), _MOST_USERS, seed)]
    return chosen


def scaled_alike(one: SpaceInfo, other: SpaceInfo, moved: float) -> bool:
    """Whether pairs by two scalings can be compared: no column's mean is `moved` standard deviations away, none spreads
    twice as far in one as in the other, and none is constant in one alone."""
    return one.scalars.keys() == other.scalars.keys() and all(
        _alike(scale, other.scalars[name], moved) for name, scale in one.scalars.items()
    )


def _alike(one: ScalarScale, other: ScalarScale, moved: float) -> bool:
    narrow, wide = sorted((one.variance, other.variance))
    near = abs(one.mean - other.mean) <= moved * np.sqrt(narrow) and wide <= _SPREAD**2 * narrow
    return bool(near and _constant(one) == _constant(other))


def _constant(scale: ScalarScale) -> bool:
    return scale.low is not None and scale.low == scale.high


def similar_share(directions: Floats, rows: Rows, threshold: float, seed: int) -> float:
    """Share of similar pairs among all pairs of `rows`, or of a thousand of them drawn by `seed`; no cap applies."""
    chosen = np.asarray(directions[rows[_drawn(len(rows), _PAIRED_USERS, seed)]])
    if len(chosen) < 2:
        return 0.0
    above = np.count_nonzero(chosen @ chosen.T > threshold) - np.count_nonzero(
        (chosen * chosen).sum(axis=1) > threshold
    )
    return float(above / (len(chosen) * (len(chosen) - 1)))


def labels_kept(one: Floats, other: Floats, threshold: float) -> float:
    """Jaccard index of the similar pairs by two scalings of the same users, directions (users, width) by each.

    Pairs of a thousand users with all others; users without a direction do not count.
    """
    asked = np.linspace(0, len(one) - 1, min(len(one), _PAIRED_USERS)).astype(np.int64)
    by_one, by_other = (rows[asked] @ rows.T > threshold for rows in (one, other))
    by_one[np.arange(len(asked)), asked] = by_other[np.arange(len(asked)), asked] = False
    either = int(np.count_nonzero(by_one | by_other))
    return np.count_nonzero(by_one & by_other) / either if either else 1.0


def _drawn(count: int, of: int, seed: int) -> Rows:
    """At most `of` of the numbers below `count`, in order."""
    if count <= of:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(count, of, replace=False)).astype(np.int64)
