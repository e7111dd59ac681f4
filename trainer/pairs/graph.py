"""The similar-pair graph of an embedding space, and its exact incremental maintenance.

Each user has a list: the users similar to it, nearest first, at most `max_positives_per_user` of them (ties by id).
Pair (i, j) is in the graph when j is in the list of i or i in that of j. When k of n users change, the lists of those k
are mined anew, and the others lose and gain only links to them: O(k n d). A full list that loses a member may have to
take in somebody it had no room for before; exactly those lists are mined again (refilled).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.policies import PairPolicy
from trainer.embeddings import Rows
from trainer.features.protocol import Floats
from trainer.pairs.mining import Links, Similarities, mine

Tick = Callable[[int, int], None]
"""Called with (rows mined, rows to mine) while work goes on."""


@dataclass(frozen=True, slots=True)
class GraphUpdate:
    """A new graph and the work it took: rows mined because they changed, and lists mined again to be refilled."""

    links: Links
    mined: int
    refilled: int


def empty_graph() -> Links:
    """A graph without links."""
    return Links.join([])


def update_graph(
    links: Links,
    directions: Floats,
    changed: Rows,
    order: Rows,
    policy: PairPolicy,
    tick: Tick = lambda _done, _of: None,
) -> GraphUpdate:
    """The graph after the rows of `changed` were written or freed.

    Args:
        links: the lists before, as this function returned them.
        directions: (capacity, width) the user matrix as it is now; free rows are zero.
        changed: distinct rows; those that are zero now only lose their links.
        order: (capacity,) rank of each row's user by id, for ties; rows without a user may hold anything.
        policy: threshold and cap; the same as for `links`.
        tick: told about progress.
    """
    cap = policy.max_positives_per_user
    touched = np.zeros(len(directions), dtype=bool)
    touched[changed] = True
    ends = _ends_of_full_lists(links, touched, order, cap)
    floor = ends.similarity.astype(np.float32)
    floor[touched] = np.inf  # the list of a changed row is mined, not patched

    kept = links.pick(~(touched[links.source] | touched[links.target]))
    alive = changed[directions[changed].any(axis=1)]
    patched = _nearest(Links.join([kept, *_mine_all(directions, alive, policy, floor, tick)]), order, cap)

    refill = np.flatnonzero(ends.full & ~touched & ~_still_exact(patched, ends, order, cap))
    if len(refill):
        again = np.zeros(len(directions), dtype=bool)
        again[refill] = True
        anew = _mine_all(directions, refill, policy, None, tick)
        patched = _nearest(Links.join([patched.pick(~again[patched.source]), *anew]), order, cap)
    return GraphUpdate(patched, mined=len(alive), refilled=len(refill))


def pairs_of(links: Links) -> Rows:
    """The graph's pairs as (pairs, 2) rows, the smaller row first, each once, sorted."""
    low, high = np.minimum(links.source, links.target), np.maximum(links.source, links.target)
    codes = np.unique(low << 32 | high)
    return np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1)


def _mine_all(directions: Floats, rows: Rows, policy: PairPolicy, floor: Floats | None, tick: Tick) -> list[Links]:
    parts: list[Links] = []
    done = 0
    for count, out, into in mine(directions, rows, policy, floor):
        parts += [out, into]
        done += count
        tick(done, len(rows))
    return parts


def _nearest(links: Links, order: Rows, cap: int | None) -> Links:
    """The links sorted by source, nearest first, ties by id; at most `cap` a source."""
    by = np.lexsort((order[links.target], -links.similarity, links.source))
    links = links.pick(by)
    if cap is None or not len(links):
        return links
    first = np.flatnonzero(np.diff(links.source, prepend=-1))
    place = np.arange(len(links)) - np.repeat(first, np.diff(first, append=len(links)))
    return links.pick(place < cap)


@dataclass(frozen=True, slots=True)
class _Ends:
    """Where each row's full list ends: nothing is known of users behind that. Rows without a full list end nowhere."""

    full: NDArray[np.bool_]
    similarity: Similarities
    order: Rows


def _ends_of_full_lists(links: Links, touched: NDArray[np.bool_], order: Rows, cap: int | None) -> _Ends:
    capacity = len(touched)
    ends = _Ends(np.zeros(capacity, dtype=bool), np.full(capacity, -np.inf), np.zeros(capacity, dtype=np.int64))
    if cap is not None and len(links):
        last = np.flatnonzero(np.diff(links.source, append=-1))  # lists lie one after another, nearest first
        last = last[np.bincount(links.source, minlength=capacity)[links.source[last]] >= cap]
        ends.full[links.source[last]] = True
        ends.similarity[links.source[last]] = links.similarity[last]
        # The id of a changed end may be gone; then nobody as near as it was counts as certain.
        ends.order[links.source[last]] = np.where(touched[links.target[last]], -1, order[links.target[last]])
    return ends


def _still_exact(links: Links, ends: _Ends, order: Rows, cap: int | None) -> NDArray[np.bool_]:
    """Which lists have `cap` members up to where their full list ended, so that nobody unknown could belong in them."""
    end = ends.similarity[links.source]
    within = (links.similarity > end) | ((links.similarity == end) & (order[links.target] <= ends.order[links.source]))
    return np.bincount(links.source[within], minlength=len(ends.full)) >= (cap or 0)
