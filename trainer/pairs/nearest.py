"""The capped graph: for each user a list of the users nearest to it, kept exact while users change.

A list holds every similar user of the known part of its row: all, or those down to where the list was cut (its floor).
A list is cut somewhat behind the cap. So a list that loses members still knows its `cap` nearest, and is mined again
(refilled) only when the reserve is used up, which is rare: as many users come near as go away. (Yi et al., Efficient
Maintenance of Materialized Top-k Views, ICDE 2003, keep views of varying length for the same reason.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from schemas.policies import PairPolicy
from stores.scratch import MEMORY, Scratch
from trainer.matrix.embeddings import Rows, with_direction
from trainer.pairs.engine import LOCAL, Engine
from trainer.pairs.links import ROWS_AT_A_TIME, Collected, Links
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
        return _first(self.links, cap)

    def chosen_blocks(self, cap: int) -> Iterator[Links]:
        """The same, block by block."""
        for _, links in self.links.blocks(len(self.floor)):
            yield _first(links, cap)


@dataclass(frozen=True, slots=True)
class _Mined:
    """Ordered lists as mining gave them: each in one piece, the pieces in any order.

    Attributes:
        links: all of them, one piece after another.
        source: the sources of the pieces, sorted.
        start, length: where the piece of each source begins, and how many links it has.
    """

    links: Links
    source: Rows
    start: Rows
    length: Rows

    @staticmethod
    def of(links: Links, pieces: list[tuple[RowIds, Rows, Rows]]) -> _Mined:
        """The lists of `links`; `pieces` are source, start and length of each."""
        source, start, length = (
            np.concatenate([np.empty(0, np.int64), *(piece[at] for piece in pieces)]) for at in range(3)
        )
        by = np.argsort(source)
        return _Mined(links, source[by], start[by], length[by])

    def of_rows(self, first: int, stop: int) -> Links:
        """The lists of the rows from `first` on, up to `stop`, sorted by source."""
        where = slice(*np.searchsorted(self.source, (first, stop)))
        start, length = self.start[where], self.length[where]
        total = int(length.sum())
        return self.links.pick(np.repeat(start - np.cumsum(length) + length, length) + np.arange(total))


def update_lists(
    lists: NearestLists,
    view: View,
    changed: Rows,
    policy: PairPolicy,
    cap: int,
    tick: Callable[[int, int], None],
    engine: Engine = LOCAL,
    scratch: Scratch = MEMORY,
) -> tuple[NearestLists, int, int]:
    """The lists after the rows of `changed` were written or freed; number of rows mined, and of lists refilled.

    Arguments as in `trainer.pairs.graph.update_graph`, and the policy's cap. All links, of before and of now, are gone
    through in blocks of rows, so memory has what is mined of `changed`, and else a few numbers a row.
    """
    capacity, depth = len(view.directions), depth_of(cap)
    touched = _mask(changed, capacity)
    floor, end = _grown(lists.floor, capacity, -np.inf), _grown(lists.end, capacity, -1)
    _draw_back(lists.links, touched, floor, end)
    floor[touched], end[touched] = -np.inf, -1

    alive = changed[with_direction(view.directions, changed)]
    useful = np.where(touched, np.inf, floor)  # the list of a changed row is replaced, not added to
    out, into = _mined(view, alive, policy, depth, useful, tick, engine, scratch)
    into = into.pick(_known(into, floor, end, view.order))
    into = into.pick(np.argsort(into.source, kind="stable"))
    gained = _mask(into.source, capacity)
    count = np.zeros(capacity, dtype=np.int32)
    found = Collected(scratch)
    for (first, links), (_, nearer) in zip(lists.links.blocks(capacity), into.blocks(capacity), strict=True):
        kept = links.pick(~(touched[links.source] | touched[links.target]))
        grown = gained[kept.source]
        longer = nearest_first(Links.join([kept.pick(grown), nearer]), view.order, depth)
        made = _together(first, out.of_rows(first, first + ROWS_AT_A_TIME), longer)
        _mark_cuts(made, depth, floor, end)
        block = _together(first, kept.pick(~grown), made)
        count[first : first + ROWS_AT_A_TIME] = np.bincount(block.source - first, minlength=ROWS_AT_A_TIME)[
            : capacity - first
        ]
        found.append(block)

    now = found.links()
    refill = np.flatnonzero((count < cap) & (floor > -np.inf))
    if len(refill):
        now = _refilled(now, view, refill, policy, depth, tick, engine, scratch, floor, end)
    return NearestLists(now, floor, end), len(alive), len(refill)


def _refilled(
    links: Links,
    view: View,
    refill: Rows,
    policy: PairPolicy,
    depth: int,
    tick: Callable[[int, int], None],
    engine: Engine,
    scratch: Scratch,
    floor: Similarities,
    end: Rows,
) -> Links:
    """The links with the lists of `refill` mined again, whose `floor` and `end` are set."""
    capacity = len(floor)
    again = _mask(refill, capacity)
    floor[refill], end[refill] = -np.inf, -1
    out, _ = _mined(view, refill, policy, depth, None, tick, engine, scratch)
    found = Collected(scratch)
    for first, block in links.blocks(capacity):
        mined = out.of_rows(first, first + ROWS_AT_A_TIME)
        _mark_cuts(mined, depth, floor, end)
        found.append(_together(first, block.pick(~again[block.source]), mined))
    return found.links()


def _mined(
    view: View,
    rows: Rows,
    policy: PairPolicy,
    depth: int,
    floor: Similarities | None,
    tick: Callable[[int, int], None],
    engine: Engine,
    scratch: Scratch,
) -> tuple[_Mined, Links]:
    outs, intos = Collected(scratch), Collected(scratch)
    pieces: list[tuple[RowIds, Rows, Rows]] = []
    done = 0
    for count, (out, into) in engine.nearest(view, rows, policy, depth, floor):
        first = np.flatnonzero(np.diff(out.source, prepend=-1))
        pieces.append((out.source[first], first + len(outs), np.diff(first, append=len(out))))
        outs.append(out)
        intos.append(into)
        done += count
        tick(done, len(rows))
    return _Mined.of(outs.links(), pieces), intos.links()


def _first(links: Links, cap: int) -> Links:
    """The first `cap` of each list of sorted links."""
    starts = np.flatnonzero(np.diff(links.source, prepend=-1))
    place = np.arange(len(links)) - np.repeat(starts, np.diff(starts, append=len(links)))
    return links.pick(place < cap)


def _draw_back(lists: Links, touched: Mask, floor: Similarities, end: Rows) -> None:
    """Set the end of the lists whose last members have changed to their last remaining member."""
    rows = (end >= 0) & touched[end]
    floor[rows], end[rows] = np.inf, -1
    for _, links in lists.blocks(len(touched)):
        left = np.flatnonzero(rows[links.source] & ~(touched[links.source] | touched[links.target]))
        left = left[np.flatnonzero(np.diff(links.source[left], append=-1))]
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


def _together(first: int, one: Links, other: Links) -> Links:
    """Merge lists of a block of rows from `first` on, both sorted by source and without a common source."""
    if not len(one) or not len(other):
        return one if len(one) else other
    both = Links.join([one, other])
    return both.pick(np.argsort((both.source - first).astype(np.uint16), kind="stable"))  # 16 bits sort by radix


def _mask(rows: Rows | RowIds, capacity: int) -> Mask:
    mask = np.zeros(capacity, dtype=bool)
    mask[rows] = True
    return mask


def _grown(values: NDArray[_Number], capacity: int, filler: float) -> NDArray[_Number]:
    """A copy, extended with `filler` to the size of the matrix."""
    return np.concatenate([values, np.full(capacity - len(values), filler, dtype=values.dtype)])
