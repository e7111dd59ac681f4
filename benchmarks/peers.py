"""The peers, doing the same work on the same rows, and the check that they find the same.

Peers decide in float32, whose last bits depend on the shape of a block. So a pair in one result only is no difference
when its similarity is within the error of a float32 product of the threshold; ours then has to be on the side where the
exact similarity is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from benchmarks.ours import Links, product_error, similarity
from benchmarks.rows import NotMeasured, ResultsDifferError
from benchmarks.timing import timed
from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

Search = Callable[[], Rows]
"""Gives (links, 2): each row asked for, with every row similar to it."""

_BLOCK = 2048
_LEVELS = (4, 8, 16)


def faiss_search(directions: Floats, rows: Rows, threshold: float) -> Search:
    """`IndexFlatIP.range_search` for `rows`, on its best number of threads; the index is built here, and not timed."""
    faiss = _faiss()
    index = faiss.IndexFlatIP(directions.shape[1])
    index.add(directions)
    return _fastest(_range_search(index, directions, rows, threshold, threads) for threads in _threads())


def panorama_search(directions: Floats, rows: Rows, threshold: float) -> Search:
    """`IndexFlatIPPanorama.range_search` for `rows`: faiss's own exact index that leaves out most of the product.

    It bounds what is left of a product level by level, so the directions are rotated to their principal axes, as its
    authors do (Ramani et al., Panorama, 2025). The best of several numbers of levels and threads counts; rotation and
    index are made here, and not timed.
    """
    faiss = _faiss()
    width = directions.shape[1]
    _, axes = np.linalg.eigh(np.cov(directions, rowvar=False).reshape(width, width))
    rotated = np.ascontiguousarray(directions @ axes[:, ::-1].astype(np.float32))
    searches = []
    for levels in _LEVELS:
        if levels > width:
            continue
        index = faiss.IndexFlatIPPanorama(width, levels)
        index.add(rotated)
        searches += [_range_search(index, rotated, rows, threshold, threads) for threads in _threads()]
    return _fastest(searches)


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise NotMeasured("faiss is not installed: pip install 'retrainer[bench]', or make bench") from None
    return faiss


def _range_search(index: Any, directions: Floats, rows: Rows, threshold: float, threads: int) -> Search:
    faiss, queries = _faiss(), np.ascontiguousarray(directions[rows])

    def search() -> Rows:
        faiss.omp_set_num_threads(threads)
        ends, _, found = index.range_search(queries, threshold)
        return _without_self(np.repeat(rows, np.diff(ends.astype(np.int64))), found)

    return search


def _threads() -> range:
    """The numbers of threads that a peer may choose from."""
    return range(1, len(os.sched_getaffinity(0)) + 1)


def _fastest(searches: Iterable[Search]) -> Search:
    """The one that takes the least time here, each run twice: the first run of each warms up."""
    found = list(searches)
    for search in found:
        search()
    return min(found, key=lambda search: timed(search)[1])


def sklearn_search(directions: Floats, rows: Rows, threshold: float) -> Search:
    """`NearestNeighbors.radius_neighbors` for `rows`, by brute force, in whichever of its metrics is faster here."""
    from sklearn.neighbors import NearestNeighbors

    queries = np.ascontiguousarray(directions[rows])

    def search_by(metric: str, radius: float) -> Search:
        neighbors = NearestNeighbors(metric=metric, algorithm="brute", radius=radius).fit(directions)

        def search() -> Rows:
            found = neighbors.radius_neighbors(queries, return_distance=False)
            counts = np.array([len(part) for part in found])
            return _without_self(np.repeat(rows, counts), np.concatenate(found).astype(np.int64))

        return search

    # On unit rows the two order pairs alike: squared distance = 2 - 2 cosine.
    searches = [search_by("cosine", 1 - threshold), search_by("euclidean", float(np.sqrt(2 - 2 * threshold)))]
    return _fastest(searches)


def upper_product(directions: Floats) -> None:
    """The bare float32 product of the upper triangle, block by block; nothing is kept and nothing looked at."""
    users = len(directions)
    out = np.empty((_BLOCK, users), dtype=np.float32)
    for start in range(0, users, _BLOCK):
        block = directions[start : start + _BLOCK]
        into = out.ravel()[: len(block) * (users - start)].reshape(len(block), users - start)
        np.matmul(block, directions[start:].T, out=into)


def lists_of(directions: Floats, rows: Rows, threshold: float, cap: int | None) -> Links:
    """The lists of `rows` by the definition: every similarity looked at, nearest first, ties by row, cut at the cap."""
    parts = []
    for row in rows.tolist():
        near = np.flatnonzero(directions @ directions[row] > threshold - product_error(directions.shape[1]))
        near = near[near != row]
        exact = similarity(directions, np.full(len(near), row), near)
        near, exact = near[exact > threshold], exact[exact > threshold]
        first = np.lexsort((near, -exact))[:cap]
        parts.append(Links(np.full(len(first), row), near[first], exact[first]))
    return Links.join(parts)


def same_lists(directions: Floats, ours: Links, rows: Rows, threshold: float, cap: int | None) -> None:
    """Hold our lists of `rows` against those by the definition.

    Raises:
        ResultsDifferError: a list differs, in a member, a similarity or the order.
    """
    mine = ours.pick(np.isin(ours.source, rows))
    theirs = lists_of(directions, np.sort(rows), threshold, cap)
    for name in ("source", "target", "similarity"):
        if not np.array_equal(getattr(mine, name), getattr(theirs, name)):
            raise ResultsDifferError(f"of {len(rows):,} lists looked at, some differ from the definition in {name}")


def same_pairs(directions: Floats, threshold: float, ours: Rows, peer: Rows, whose: str) -> None:
    """Hold two results of (links, 2) against each other.

    Raises:
        ResultsDifferError: they differ in a link that rounding does not explain, or ours is wrong.
    """
    mine, theirs = _codes(ours), _codes(peer)
    if len(mine) < len(ours) or len(theirs) < len(peer):
        raise ResultsDifferError(f"ours or {whose} gives a pair twice")
    only = np.setxor1d(mine, theirs, assume_unique=True)
    exact = similarity(directions, only >> 32, only & 0xFFFFFFFF)
    excused = np.abs(exact - threshold) <= product_error(directions.shape[1])
    right = (exact > threshold) == np.isin(only, mine)
    if not (excused & right).all():
        raise ResultsDifferError(f"ours has {len(mine):,} pairs, {whose} {len(theirs):,}; {len(only):,} differ")


def _without_self(source: Rows, target: Rows) -> Rows:
    links: Rows = np.stack([source, target], axis=1)[source != target]
    return links


def _codes(pairs: Rows) -> Rows:
    """Each pair as one number; sorted, each once."""
    source, target = pairs.astype(np.int64).T
    return np.unique(source << 32 | target)
