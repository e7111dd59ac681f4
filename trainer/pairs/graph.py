"""The similar-pair graph of an embedding space, and its exact incremental maintenance.

Without a cap the graph has every similar pair. With a cap each user has a list of its nearest users, at most
`max_positives_per_user`, ties by id, and the graph has pair (i, j) when j is in the list of i or i in the list of j
(`trainer.pairs.nearest`). When k of n users change, those k are mined again, and the others lose and gain only pairs
with them: O(k n d).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.policies import PairPolicy
from stores.scratch import MEMORY, Scratch
from trainer.matrix.embeddings import Rows, with_direction
from trainer.pairs.engine import LOCAL, Engine
from trainer.pairs.links import Links
from trainer.pairs.nearest import NearestLists, update_lists
from trainer.pairs.similarity import RowIds
from trainer.pairs.view import View

Tick = Callable[[int, int], None]
"""Called with (rows mined, rows to mine) while work goes on."""

_CODES_AT_A_TIME = 2**20


@dataclass(frozen=True, slots=True)
class Graph:
    """Similar pairs by one policy.

    Attributes:
        cap: the policy's; None keeps every similar pair.
        lists: the lists of neighbours, with a cap.
        whole: every similar pair in the form of `codes`, without a cap.
    """

    cap: int | None
    lists: NearestLists
    whole: Rows

    @staticmethod
    def empty(policy: PairPolicy) -> Graph:
        """A graph without pairs."""
        return Graph(policy.max_positives_per_user, NearestLists.empty(), np.empty(0, dtype=np.int64))

    def pairs(self, touching: NDArray[np.bool_] | None = None) -> Rows:
        """The pairs as (pairs, 2) rows, the smaller row first, each once, sorted.

        With `touching`, a mask (capacity,), only pairs with an end in it: much faster for a small mask.
        """
        codes = self.codes(touching)
        return np.stack([codes >> 32, codes & 0xFFFFFFFF], axis=1)

    def codes(self, touching: NDArray[np.bool_] | None = None, scratch: Scratch = MEMORY) -> Rows:
        """The same pairs, each as one number in their order: smaller row * 2**32 + larger row."""
        if self.cap is None and touching is None:
            return self.whole
        found = scratch.growing(np.int64)
        if self.cap is None:
            for part in _parts(self.whole):
                found.append(part[_touch(part, touching)] if touching is not None else part)
            return found.array()
        for links in self.lists.chosen_blocks(self.cap):
            some = links if touching is None else links.pick(touching[links.source] | touching[links.target])
            found.append(_codes(some.source, some.target))
        return _distinct(found.array())

    def rows(self) -> Rows:
        """Every row that the graph names: in a pair, in a list, or as the end of one."""
        named = np.zeros(0, dtype=bool)
        links, end = self.lists.links, self.lists.end
        for array in (links.source, links.target, end, self.whole):
            for part in _parts(array):
                for rows in (part >> 32, part & 0xFFFFFFFF) if array is self.whole else (part[part >= 0],):
                    most = int(rows.max(initial=-1)) + 1
                    named = np.concatenate([named, np.zeros(max(0, most - len(named)), dtype=bool)])
                    named[rows] = True
        return np.flatnonzero(named)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The graph as arrays to store; `of` makes the graph from them."""
        lists, links = self.lists, self.lists.links
        return {
            "source": links.source,
            "target": links.target,
            "similarity": links.similarity,
            "floor": lists.floor,
            "end": lists.end,
            "whole": self.whole,
        }

    @staticmethod
    def of(policy: PairPolicy, arrays: Mapping[str, NDArray[Any]]) -> Graph:
        """The graph of stored `arrays`.

        Raises:
            KeyError: an array is missing.
        """
        links = Links(arrays["source"], arrays["target"], arrays["similarity"])
        lists = NearestLists(links, arrays["floor"], arrays["end"])
        return Graph(policy.max_positives_per_user, lists, arrays["whole"])


@dataclass(frozen=True, slots=True)
class GraphUpdate:
    """A new graph and its costs: rows mined because they changed, and lists mined again for a refill."""

    graph: Graph
    mined: int
    refilled: int


def update_graph(
    graph: Graph,
    view: View,
    changed: Rows,
    policy: PairPolicy,
    tick: Tick = lambda _done, _of: None,
    engine: Engine = LOCAL,
    scratch: Scratch = MEMORY,
) -> GraphUpdate:
    """The graph after the rows of `changed` were written or freed.

    Args:
        graph: the graph before, as this function returned it for the same threshold and cap, or an empty one.
        view: the user matrix as it is now.
        changed: distinct rows; rows that are zero now only lose their pairs.
        policy: threshold, cap, memory and threads.
        tick: gets the progress.
        engine: what mines.
        scratch: room for the new graph.
    """
    if graph.cap is not None:
        lists, rows, refilled = update_lists(graph.lists, view, changed, policy, graph.cap, tick, engine, scratch)
        return GraphUpdate(Graph(graph.cap, lists, graph.whole), rows, refilled)
    touched = np.zeros(len(view.directions), dtype=bool)
    touched[changed] = True
    alive = changed[with_direction(view.directions, changed)]
    mined = scratch.growing(np.int64)
    done = 0
    for count, (source, target) in engine.similar(view, alive, policy):
        once = ~touched[target] | (source < target)  # two changed rows find each other twice
        mined.append(_codes(source[once], target[once]))
        done += count
        tick(done, len(alive))
    new = mined.array()
    new.sort()
    found = scratch.growing(np.int64)
    at = 0
    for part in _parts(graph.whole):
        stop = int(np.searchsorted(new, part[-1]))
        found.append(_inserted(part[~_touch(part, touched)], new[at:stop]))
        at = stop
    found.append(new[at:])
    return GraphUpdate(Graph(None, graph.lists, found.array()), len(alive), 0)


def common(one: Rows, other: Rows) -> int:
    """How many numbers are in both of two arrays of distinct numbers in order."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    both = 0
    for part in _parts(longer):
        some = shorter[slice(*np.searchsorted(shorter, (part[0], part[-1] + 1)))]
        both += int(np.count_nonzero(np.diff(np.sort(np.concatenate([part, some]))) == 0))
    return both


def _parts(codes: NDArray[Any]) -> Iterator[NDArray[Any]]:
    for start in range(0, len(codes), _CODES_AT_A_TIME):
        yield codes[start : start + _CODES_AT_A_TIME]


def _distinct(codes: Rows) -> Rows:
    """The numbers of `codes` in order, each once; the array is used for it."""
    codes.sort()
    count, last = 0, -1
    for part in _parts(codes):
        kept = part[np.diff(part, prepend=last) > 0]
        last = int(part[-1])
        codes[count : count + len(kept)] = kept
        count += len(kept)
    return codes[:count]


def _inserted(kept: Rows, new: Rows) -> Rows:
    """Two arrays in order, as one in order."""
    return np.insert(kept, np.searchsorted(kept, new), new)


def _touch(codes: Rows, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which pairs have an end in `mask`."""
    touch: NDArray[np.bool_] = mask.take(codes >> 32, mode="clip") | mask.take(codes & 0xFFFFFFFF, mode="clip")
    return touch


def _codes(source: RowIds, target: RowIds) -> Rows:
    codes: Rows = np.minimum(source, target).astype(np.int64) << 32 | np.maximum(source, target)
    return codes
