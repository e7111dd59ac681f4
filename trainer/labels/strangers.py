"""Strangers: who stands in for a user whom another one likes, where a model is asked to tell the two apart.

A stranger is as popular as the user whose place he takes, or a model that knows nothing but who is popular would look
good (Aiyappa et al. 2024, Implicit degree bias in the link prediction task).
"""

from __future__ import annotations

import numpy as np

from trainer.matrix.embeddings import Rows

_REACH = 16  # places up and down the order of popularity within which a stranger is looked for at first
_TRIES = 16
_TWICE_EVERY = 4  # tries, after which the reach doubles: somebody may know all who are as popular


def draw_strangers(
    ends: Rows,
    liked: Rows,
    capacity: int,
    corpus: Rows,
    generator: np.random.Generator,
    barred: Rows | None = None,
) -> tuple[Rows, Rows]:
    """For each of `ends` a pair of the same user with a stranger who is as popular as the second row.

    Args:
        ends: (positives, 2) rows, the asked user first.
        liked: (n, 2) all positives, by whom and whom; a user is as popular as he is often a second one.
        capacity, corpus: of the user matrix.
        generator: draws.
        barred: (n, 2) others who are nobody's strangers, by whom and whom; they make nobody popular.

    Returns:
        Which of `ends` have one, and (n, 2) the pairs: nobody is found for who knows everybody.
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
