"""Exact mining: for some rows of the user matrix, all similar users or the nearest of them.

Block by block, a short matrix product gives an upper bound of every similarity (`trainer.pairs.bounds`). Pairs that
cannot be similar are left out there (`trainer.pairs.candidates`); the canonical similarity decides what the bounds
leave open. The policy's memory sets the size of blocks, threads share them, and a GPU multiplies where there is one;
nothing of this changes the result.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache
from queue import SimpleQueue
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

from schemas.policies import PairPolicy
from trainer.matrix.embeddings import Rows
from trainer.pairs.bounds import Bounds
from trainer.pairs.candidates import BLOCK_ROWS, Candidates, Sieve, bar
from trainer.pairs.filters import DeviceRows, TooManyError, no_room, tensor_cores
from trainer.pairs.hardware import accelerator
from trainer.pairs.links import Links
from trainer.pairs.locality import near_together
from trainer.pairs.order import ranked
from trainer.pairs.precision import Precision
from trainer.pairs.similarity import RowIds, Similarities, similarity
from trainer.pairs.view import View

_Found = TypeVar("_Found")

_WORTH_ARRANGING = 4096
_WORTH_A_THREAD = 4_000_000  # bounds; for fewer the start of a thread takes longer than it saves
_WORTH_A_DEVICE = 64  # rows; for fewer the processor is done before all short rows are on the device


def mine_similar(view: View, rows: Rows, policy: PairPolicy) -> Iterator[tuple[int, tuple[RowIds, RowIds]]]:
    """Every similar user of each of `rows`: (rows mined, (source, target)), block by block."""
    threshold = policy.similarity_threshold

    def decide(found: Candidates) -> tuple[RowIds, RowIds]:
        similar = found.lower > threshold
        unsure = np.flatnonzero(~similar)
        similar[unsure] = similarity(view.directions, found.source[unsure], found.target[unsure]) > threshold
        return found.source[similar], found.target[similar]

    yield from _share(decide, view.bounds, rows, policy, tables=False)


def mine_nearest(
    view: View, rows: Rows, policy: PairPolicy, depth: int, floor: Similarities | None = None
) -> Iterator[tuple[int, tuple[Links, Links]]]:
    """The nearest similar users of each of `rows`, and the users that may have `rows` among their nearest.

    Args:
        view: the matrix.
        rows: distinct rows to mine.
        policy: threshold, memory of a block, threads.
        depth: number of nearest users wanted.
        floor: (capacity,) for each row the smallest similarity that is useful to it; None: no links in.

    Yields:
        (rows mined, (links out, links in)), block by block. Links out: from each mined row to its `depth` nearest
        similar users, sorted by source, nearest first, ties by id. Links in: from any other row to a mined one whose
        similarity is at least that row's floor.
    """

    def decide(found: Candidates) -> tuple[Links, Links]:
        wanted = found.upper >= bar(found, depth)[found.at]
        into = np.zeros_like(wanted) if floor is None else found.upper >= floor[found.target]
        some = np.flatnonzero(wanted | into)
        source, target = found.source[some], found.target[some]
        links = Links(source, target, similarity(view.directions, source, target))
        similar = links.similarity > policy.similarity_threshold
        kept = similar & wanted[some]
        out = ranked(links.pick(kept), found.at[some[kept]], found.rows, view.order, depth)
        if floor is None:
            return out, Links.join([])
        back = links.pick(similar & into[some] & (links.similarity >= floor[target]))
        return out, Links(back.target, back.source, back.similarity)

    yield from _share(decide, view.bounds, rows, policy, tables=True)


def _share(
    decide: Callable[[Candidates], _Found], bounds: Bounds, rows: Rows, policy: PairPolicy, *, tables: bool
) -> Iterator[tuple[int, _Found]]:
    """(rows, decide(candidates)) for each block of `rows`, in order, by as many threads as the policy says."""
    threads = min(policy.threads or len(os.sched_getaffinity(0)), 1 + len(rows) * len(bounds.short) // _WORTH_A_THREAD)
    size = max(1, min(BLOCK_ROWS, -(-len(rows) // threads)))
    if bounds.rest is not None and len(rows) > _WORTH_ARRANGING:  # by all coordinates it costs more than it saves
        given = rows
        rows = given[near_together(lambda some: bounds.leading(given[some]), len(given), size)]
    blocks = [rows[start : start + size] for start in range(0, len(rows), size)]
    device = _on_a_device(bounds, len(rows))
    sieves: SimpleQueue[Sieve] = SimpleQueue()
    for _ in range(threads):
        memory = policy.block_megabytes * 2**20 // threads
        sieves.put(Sieve(bounds, policy.similarity_threshold, memory, tables=tables, device=device))

    def work(block: Rows) -> list[tuple[int, _Found]]:
        sieve = sieves.get()
        try:
            return _divide(block, lambda part: decide(sieve.candidates(part)))
        finally:
            sieves.put(sieve)

    with ExitStack() as opened:
        if device is not None:
            opened.enter_context(tensor_cores())
        if threads == 1:
            for block in blocks:
                yield from work(block)
            return
        opened.enter_context(_pools().limit(limits=1, user_api="blas"))
        pool = opened.enter_context(ThreadPoolExecutor(threads))
        try:
            for results in pool.map(work, blocks):
                yield from results
        finally:
            pool.shutdown(cancel_futures=True)


def _on_a_device(bounds: Bounds, rows: int) -> DeviceRows | None:
    """The short rows where a device multiplies faster; None where the processor does it: the bounds are the same."""
    if bounds.precision is not Precision.TF32 or rows < _WORTH_A_DEVICE or rows * len(bounds.short) < _WORTH_A_THREAD:
        return None
    if (device := accelerator()) is None:
        return None
    try:
        return DeviceRows(bounds, device)
    except no_room():
        return None


def _divide(block: Rows, work: Callable[[Rows], _Found]) -> list[tuple[int, _Found]]:
    """The block's work, in smaller blocks where it is too much at once."""
    try:
        return [(len(block), work(block))]
    except TooManyError:
        half = len(block) // 2
        return _divide(block[:half], work) + _divide(block[half:], work)


@cache
def _pools() -> ThreadpoolController:
    """The thread pools of loaded libraries: blocks share the cores, so the product of a block uses one core."""
    return ThreadpoolController()
