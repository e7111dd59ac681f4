"""The capped graph: for each user a list of the users nearest to it, kept exact while users change.

A list holds every similar user within the part that is known of its row: all of them, or those up to where it was once
cut (its floor). It is cut somewhat behind the cap, so a list that loses members still knows its `cap` nearest, and has
to be mined anew (refilled) only when the reserve is used up; as many users come near as go, that is seldom. (Yi et al.,
Efficient Maintenance of Materialized Top-k Views, ICDE 2003, keep views of varying length for the same reason.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.policies import PairPolicy
from trainer.matrix.embeddings import Rows
from trainer.pairs.links import Links
from trainer.pairs.mining import mine_nearest
from trainer.pairs.order import nearest_first
from trainer.pairs.similarity import RowIds, Similarities
from trainer.pairs.view import View

Mask = NDArray[np.bool_]
_Number = TypeVar("_Number", np.float64, np.int64, np.int32)


def depth_of(cap: int) -> int:
    """Where lists are cut: a quarter more than the cap asks for."""
    return cap + max(8, cap // 4)


@dataclass(frozen=True, slots=True)
class NearestLists:
    """Lists of neighbours.

    Attributes:
        links: sorted by source, nearest first, ties by id.
        floor: (capacity,) where the known part of each row ends: the similarity of the member at which its list was
            cut; -inf if it was not cut.
        end: (capacity,) that member's row; users as near as it are known up to its id. -1 if the list was not cut.
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
) -> tuple[NearestLists, int, int]:
    """The lists after the rows of `changed` were written or freed; how many rows were mined, and how many refilled.

    Arguments as those of `trainer.pairs.graph.update_graph`, and the policy's cap.
    """
    capacity, depth = len(view.directions), depth_of(cap)
    links = lists.links
    touched = _mask(changed, capacity)
    floor, end = _grown(lists.floor, capacity, -np.inf), _grown(lists.end, capacity, -1)
    kept = ~(touched[links.source] | touched[links.target])
    _draw_back(links, kept, (end >= 0) & touched[end], floor, end)
    floor[touched], end[touched] = -np.inf, -1

    alive = changed[view.directions[changed].any(axis=1)]
    useful = np.where(touched, np.inf, floor)  # the list of a changed row is made anew, not added to
    out, into = _mined(view, alive, policy, depth, useful, tick)
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
        out, _ = _mined(view, refill, policy, depth, None, tick)
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
) -> tuple[Links, Links]:
    outs: list[Links] = []
    intos: list[Links] = []
    done = 0
    for count, (out, into) in mine_nearest(view, rows, policy, depth, floor):
        outs.append(out)
        intos.append(into)
        done += count
        tick(done, len(rows))
    return Links.join(outs), Links.join(intos)


def _by_source(lists: Links) -> Links:
    """Lists that are in order, each in one piece, sorted by source: pieces are sorted, not links."""
    first = np.flatnonzero(np.diff(lists.source, prepend=-1))
    length = np.diff(first, append=len(lists))
    by = np.argsort(lists.source[first])
    first, length = first[by], length[by]
    return lists.pick(np.repeat(first - np.cumsum(length) + length, length) + np.arange(len(lists)))


def _draw_back(links: Links, kept: Mask, rows: Mask, floor: Similarities, end: Rows) -> None:
    """Let the lists of `rows`, whose last members have changed, end at the last that is left, or nowhere."""
    left = np.flatnonzero(kept & rows[links.source])
    left = left[np.flatnonzero(np.diff(links.source[left], append=-1))]
    floor[rows], end[rows] = np.inf, -1
    floor[links.source[left]] = links.similarity[left]
    end[links.source[left]] = links.target[left]


def _known(links: Links, floor: Similarities, end: Rows, order: Rows) -> Mask:
    """Which links lie within the known part of their source's row."""
    line, last = floor[links.source], end[links.source]
    before_last = order[links.target] < order[last]  # asked only of ties, so there is a last
    known: Mask = (links.similarity > line) | ((links.similarity == line) & before_last)
    return known


def _mark_cuts(links: Links, depth: int, floor: Similarities, end: Rows) -> None:
    """Note where lists of full depth end; there may be more behind."""
    last = np.flatnonzero(np.diff(links.source, append=-1))
    cut = last[np.diff(last, prepend=-1) >= depth]
    floor[links.source[cut]] = links.similarity[cut]
    end[links.source[cut]] = links.target[cut]


def _merged(one: Links, other: Links, capacity: int) -> Links:
    """Two sets of lists, both sorted by source and without a source in common, as one."""
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
    """A copy, longer by as many `filler` as the matrix has grown."""
    return np.concatenate([values, np.full(capacity - len(values), filler, dtype=values.dtype)])
