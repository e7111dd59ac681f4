"""Mining on a Ray cluster: each node holds a copy of the user matrix, and each task mines a portion of the rows.

A task runs the code that mines on one machine, on an equal matrix, and neither bounds nor canonical similarities depend
on how rows are cut into blocks. So the pairs are the same set, bit for bit, on any number of nodes and workers. Ray
replaces a worker that dies, and runs its task again; a node that joins, or that has lost its copy, gets one when the
first task fails there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np

from schemas.policies import PairPolicy
from trainer.distributed.copies import Copies, copy_on_this_node, remote
from trainer.distributed.node_copy import NotReadyError
from trainer.distributed.portions import portions
from trainer.distributed.tasks import in_order, processors
from trainer.matrix.embeddings import Rows
from trainer.pairs.engine import LOCAL
from trainer.pairs.hardware import processor_precisions
from trainer.pairs.links import Links
from trainer.pairs.mining import mine_nearest, mine_similar
from trainer.pairs.precision import Precision
from trainer.pairs.similarity import RowIds, Similarities
from trainer.pairs.view import View

_Found = TypeVar("_Found")

_WORTH_SENDING = 2_000_000  # bounds; for fewer this machine is done before a task has begun


class RayEngine:
    """Mines on the nodes of a Ray cluster.

    Args:
        space: tells the matrix from all others; the copies of nodes are kept under it from cycle to cycle.
        connect: connects this process to the cluster, where it is not connected yet.
        worth: number of bounds from which mining is sent away.
    """

    def __init__(self, space: str, connect: Callable[[], None], worth: int = _WORTH_SENDING) -> None:
        self._space = space
        self._connect = connect
        self._worth = worth
        self.rows_sent = 0
        """Rows that nodes lacked, each counted once for all nodes that lacked the same."""

    def precisions(self) -> tuple[Precision, ...]:
        """See `trainer.pairs.engine.Engine`. Tasks multiply on processors, whatever this machine has."""
        return processor_precisions()

    def similar(self, view: View, rows: Rows, policy: PairPolicy) -> Iterator[tuple[int, tuple[RowIds, RowIds]]]:
        """See `trainer.pairs.engine.Engine`."""
        if self._is_small(view, rows):
            return LOCAL.similar(view, rows, policy)
        self._connect()
        return self._shared(view, rows, lambda part, space, stamp: _similar().remote(space, stamp, part, policy))

    def nearest(
        self, view: View, rows: Rows, policy: PairPolicy, depth: int, floor: Similarities | None
    ) -> Iterator[tuple[int, tuple[Links, Links]]]:
        """See `trainer.pairs.engine.Engine`."""
        if self._is_small(view, rows):
            return LOCAL.nearest(view, rows, policy, depth, floor)
        self._connect()
        import ray

        kept = None if floor is None else ray.put(floor)
        return self._shared(
            view, rows, lambda part, space, stamp: _nearest().remote(space, stamp, part, policy, depth, kept)
        )

    def _is_small(self, view: View, rows: Rows) -> bool:
        return len(rows) * len(view.directions) < self._worth

    def _shared(self, view: View, rows: Rows, send: Callable[[Rows, str, str], Any]) -> Iterator[tuple[int, _Found]]:
        """(rows mined, what was found) for each portion, in order."""
        stamp = uuid4().hex
        copies = Copies(view, self._space, stamp)
        copies.everywhere()

        def bring(error: Exception) -> bool:
            if isinstance(error, NotReadyError):
                copies.at([error.node])
                return True
            return False

        try:
            todo = portions(rows, view.bounds, processors())
            for part, found in in_order(todo, lambda part: send(part, self._space, stamp), bring):
                yield len(part), found
        finally:
            self.rows_sent += copies.rows_sent


def _similar() -> Any:
    return remote(similar_of_a_portion, num_cpus=1, scheduling_strategy="SPREAD")


def _nearest() -> Any:
    return remote(nearest_of_a_portion, num_cpus=1, scheduling_strategy="SPREAD")


def similar_of_a_portion(space: str, stamp: str, rows: Rows, policy: PairPolicy) -> tuple[RowIds, RowIds]:
    """A task: all similar users of some rows."""
    parts = [found for _, found in mine_similar(_view(space, stamp), rows, _alone(policy))]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def nearest_of_a_portion(
    space: str, stamp: str, rows: Rows, policy: PairPolicy, depth: int, floor: Similarities | None
) -> tuple[Links, Links]:
    """A task: the nearest users of some rows, and the links in."""
    parts = [found for _, found in mine_nearest(_view(space, stamp), rows, _alone(policy), depth, floor)]
    return Links.join([part[0] for part in parts]), Links.join([part[1] for part in parts])


def _view(space: str, stamp: str) -> View:
    view = copy_on_this_node(space).view(stamp)
    if view.bounds.precision is Precision.BFLOAT16:
        import tensorflow  # noqa: F401  (multiplies such numbers, where it is loaded)
    return view


def _alone(policy: PairPolicy) -> PairPolicy:
    """A task has one processor."""
    return policy.model_copy(update={"threads": 1})
