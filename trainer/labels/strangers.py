"""Strangers: a stranger takes the place of a known partner, and the model has to distinguish the two.

A stranger is about as popular as the partner; else a model that knows popularity alone would look good (Aiyappa et al.
2024, Implicit degree bias in the link prediction task).
"""

from __future__ import annotations

import numpy as np

from trainer.matrix.embeddings import Rows

_REACH = 16  # first distance in the order of popularity within which a stranger is drawn
_TRIES = 16
_TWICE_EVERY = 4  # tries, after which the reach doubles: a user may know all users of that popularity


def draw_strangers(
    ends: Rows,
    liked: Rows,
    capacity: int,
    corpus: Rows,
    generator: np.random.Generator,
    barred: Rows | None = None,
) -> tuple[Rows, Rows]:
    """For each of `ends` a pair of the same user and a stranger about as popular as the second row.

    Args:
        ends: (positives, 2) rows, the asked user first.
        liked: (n, 2) all positives, user first; popularity is how often a row is second.
        capacity, corpus: of the user matrix.
        generator: draws.
        barred: (n, 2) further pairs that are no strangers, user first; they do not count for popularity.

    Returns:
        Which of `ends` have a stranger, and (n, 2) the pairs; a user who knows everybody has none.
    """
    popular = np.bincount(liked[:, 1], minlength=capacity)[corpus]
    order = corpus[np.lexsort([generator.random(len(corpus)), popular])]
    place = np.empty(capacity, dtype=np.int64)
    place[order] = np.arange(len(order))
    apart = liked if barred is None else np.concatenate([liked, barred])
    code = np.unique(apart[:, 0] * capacity + apart[:, 1])
    reach = max(1, min(_REACH, len(order) // 16))
    found = np.full(len(ends), -1, dtype=np.int64)
    for trial in range(_TRIES):
        open_ones = np.flatnonzero(found < 0)
        if not len(open_ones):
            break
        far = reach * 2 ** (trial // _TWICE_EVERY)
        away = generator.integers(1, far + 1, len(open_ones)) * generator.choice([-1, 1], len(open_ones))
        who, at = ends[open_ones, 0], place[ends[open_ones, 1]]
        to = at + away
        to = np.clip(np.where((to < 0) | (to >= len(order)), at - away, to), 0, len(order) - 1)
        other = order[to]
        asked = who * capacity + other
        near = np.minimum(np.searchsorted(code, asked), len(code) - 1)
        sound = (other != who) & (other != ends[open_ones, 1]) & (code[near] != asked)
        found[open_ones[sound]] = other[sound]
    matched = np.flatnonzero(found >= 0)
    return matched, np.stack([ends[matched, 0], found[matched]], axis=1)
