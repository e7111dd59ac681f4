"""The capped graph: for each user a list of the users nearest to it, kept exact while users change.

A list holds every similar user of the known part of its row: all, or those down to where the list was cut (its floor).
A list is cut somewhat behind the cap. So a list that loses members still knows its `cap` nearest, and is mined again
(refilled) only when the reserve is used up, which is rare: as many users come near as go away. (Yi et al., Efficient
Maintenance of Materialized Top-k Views, ICDE 2003, keep views of varying length for the same reason.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.policies import PairPolicy
from trainer.matrix.embeddings import Rows
from trainer.pairs.engine import LOCAL, Engine
from trainer.pairs.links import Links
from trainer.pairs.order import nearest_first
from trainer.pairs.similarity import RowIds, Similarities
from trainer.pairs.view import View

Mask = NDArray[np.bool_]
_Number = TypeVar("_Number", np.float64, np.int64, np.int32)


def depth_of(cap: int) -> int:
    """The length at which lists are cut: a quarter more than the cap."""
    return cap + max(8, cap // 4)


@dataclass(frozen=True, slots=True)
class NearestLists:
    """Lists of neighbours.

    Attributes:
        links: sorted by source, nearest first, ties by id.
        floor: (capacity,) the end of the known part of each row: the similarity of the last member of a cut list; -inf
            if the list was not cut.
        end: (capacity,) the row of that member; users of the same similarity are known up to its id. -1 if the list
            was not cut.
    """

    links: Links
    floor: Similarities
    end: Rows

    @staticmethod
    def empty() -> NearestLists:
        """No lists, of no users."""
        return NearestLists(Links.join([]), np.empty(0, np.float64), np.empty(0, np.int64))

    def chosen(self, cap: int) -> Links:
        """The first `cap` of each list."""
        links = self.links
        starts = np.flatnonzero(np.diff(links.source, prepend=-1))
        place = np.arange(len(links)) - np.repeat(starts, np.diff(starts, append=len(links)))
        return links.pick(place < cap)


def update_lists(
    lists: NearestLists,
    view: View,
    changed: Rows,
    policy: PairPolicy,
    cap: int,
    tick: Callable[[int, int], None],
    engine: Engine = LOCAL,
) -> tuple[NearestLists, int, int]:
    """The lists after the rows of `changed` were written or freed; number of rows mined, and of lists refilled.

    Arguments as in `trainer.pairs.graph.update_graph`, and the policy's cap.
    """
    capacity, depth = len(view.directions), depth_of(cap)
    links = lists.links
    touched = _mask(changed, capacity)
    floor, end = _grown(lists.floor, capacity, -np.inf), _grown(lists.end, capacity, -1)
    kept = ~(touched[links.source] | touched[links.target])
    _draw_back(links, kept, (end >= 0) & touched[end], floor, end)
    floor[touched], end[touched] = -np.inf, -1

    alive = changed[view.directions[changed].any(axis=1)]
    useful = np.where(touched, np.inf, floor)  # the list of a changed row is replaced, not added to
    out, into = _mined(view, alive, policy, depth, useful, tick, engine)
    into = into.pick(_known(into, floor, end, view.order))
    gained = _mask(into.source, capacity)
    longer = nearest_first(Links.join([links.pick(kept & gained[links.source]), into]), view.order, depth)
    made = _merged(_by_source(out), longer, capacity)
    del out, longer  # at a full mining, where memory is scarcest, they are as large as all lists
    _mark_cuts(made, depth, floor, end)

    kept &= ~gained[links.source]
    count = np.bincount(links.source[kept], minlength=capacity) + np.bincount(made.source, minlength=capacity)
    refill = np.flatnonzero((count < cap) & (floor > -np.inf))
    if len(refill):
        again = _mask(refill, capacity)
        floor[refill], end[refill] = -np.inf, -1
        out, _ = _mined(view, refill, policy, depth, None, tick, engine)
        refilled = _by_source(out)
        _mark_cuts(refilled, depth, floor, end)
        made = _merged(made.pick(~again[made.source]), refilled, capacity)
        kept &= ~again[links.source]
    return NearestLists(_merged(links.pick(kept), made, capacity), floor, end), len(alive), len(refill)


def _mined(
    view: View,
    rows: Rows,
    policy: PairPolicy,
    depth: int,
    floor: Similarities | None,
    tick: Callable[[int, int], None],
    engine: Engine,
) -> tuple[Links, Links]:
    outs: list[Links] = []
    intos: list[Links] = []
    done = 0
    for count, (out, into) in engine.nearest(view, rows, policy, depth, floor):
        outs.append(out)
        intos.append(into)
        done += count
        tick(done, len(rows))
    return Links.join(outs), Links.join(intos)


def _by_source(lists: Links) -> Links:
    """Ordered lists, each in one piece, sorted by source: the pieces are sorted, not the links."""
    first = np.flatnonzero(np.diff(lists.source, prepend=-1))
    length = np.diff(first, append=len(lists))
    by = np.argsort(lists.source[first])
    first, length = first[by], length[by]
    return lists.pick(np.repeat(first - np.cumsum(length) + length, length) + np.arange(len(lists)))


def _draw_back(links: Links, kept: Mask, rows: Mask, floor: Similarities, end: Rows) -> None:
    """Set the end of the lists of `rows`, whose last members have changed, to their last remaining member."""
    left = np.flatnonzero(kept & rows[links.source])
    left = left[np.flatnonzero(np.diff(links.source[left], append=-1))]
    floor[rows], end[rows] = np.inf, -1
    floor[links.source[left]] = links.similarity[left]
    end[links.source[left]] = links.target[left]


def _known(links: Links, floor: Similarities, end: Rows, order: Rows) -> Mask:
    """Which links are in the known part of their source's row."""
    line, last = floor[links.source], end[links.source]
    before_last = order[links.target] < order[last]  # asked only of ties, so there is a last
    known: Mask = (links.similarity > line) | ((links.similarity == line) & before_last)
    return known


def _mark_cuts(links: Links, depth: int, floor: Similarities, end: Rows) -> None:
    """Set the end of lists of full depth; more users may follow."""
    last = np.flatnonzero(np.diff(links.source, append=-1))
    cut = last[np.diff(last, prepend=-1) >= depth]
    floor[links.source[cut]] = links.similarity[cut]
    end[links.source[cut]] = links.target[cut]


def _merged(one: Links, other: Links, capacity: int) -> Links:
    """Merge two sets of lists, both sorted by source and without a common source."""
    if not len(one) or not len(other):
        return one if len(one) else other
    count = np.bincount(other.source, minlength=capacity)
    from_other = np.repeat(count > 0, count + np.bincount(one.source, minlength=capacity))

    def merged(left: NDArray[_Number], right: NDArray[_Number]) -> NDArray[_Number]:
        both = np.empty(len(from_other), dtype=left.dtype)
        both[from_other], both[~from_other] = right, left
        return both

    return Links(
        merged(one.source, other.source),
        merged(one.target, other.target),
        merged(one.similarity, other.similarity),
    )


def _mask(rows: Rows | RowIds, capacity: int) -> Mask:
    mask = np.zeros(capacity, dtype=bool)
    mask[rows] = True
    return mask


def _grown(values: NDArray[_Number], capacity: int, filler: float) -> NDArray[_Number]:
    """A copy, extended with `filler` to the size of the matrix."""
    return np.concatenate([values, np.full(capacity - len(values), filler, dtype=values.dtype)])
