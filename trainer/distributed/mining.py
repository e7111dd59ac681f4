"""Mining on a Ray cluster: each node holds a copy of the user matrix, and each task mines a portion of the rows.

A task runs the code that mines on one machine, on an equal matrix, and neither bounds nor canonical similarities depend
on how rows are cut into blocks. So the pairs are the same set, bit for bit, on any number of nodes and workers. Ray
replaces a worker that dies, and runs its task again; a node that joins, or that has lost its copy, gets one when the
first task fails there.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import numpy as np

from schemas.policies import PairPolicy
from trainer.distributed.node_copy import Digests, NodeCopy, NotReadyError, Portion, Shape, digests
from trainer.distributed.portions import portions
from trainer.matrix.embeddings import Rows
from trainer.pairs.engine import LOCAL
from trainer.pairs.links import Links
from trainer.pairs.mining import mine_nearest, mine_similar
from trainer.pairs.precision import Precision
from trainer.pairs.similarity import RowIds, Similarities
from trainer.pairs.view import View

_Found = TypeVar("_Found")

_SENT_ROWS = 65_536  # of a portion that is sent to nodes
_AHEAD = 2  # tasks that wait, for each processor
_TRIES = 5  # of a task whose node or result is lost, beside those of Ray itself
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
        """(rows mined, what was found) for each portion, in order, a bounded number of tasks ahead."""
        stamp = uuid4().hex
        copies = _Copies(view, self._space, stamp)
        copies.everywhere()
        todo = deque(portions(rows, view.bounds, copies.processors))
        sent: deque[tuple[Rows, Any]] = deque()
        try:
            while todo or sent:
                while todo and len(sent) < _AHEAD * copies.processors:
                    part = todo.popleft()
                    sent.append((part, send(part, self._space, stamp)))
                part, reference = sent.popleft()
                yield len(part), self._result(reference, copies, partial(send, part, self._space, stamp))
        finally:
            self.rows_sent += copies.rows_sent
            _give_up([reference for _, reference in sent])

    def _result(self, reference: Any, copies: _Copies, again: Callable[[], Any]) -> Any:
        """What a task has found, sent again where its node was not ready or is gone."""
        import ray
        from ray.exceptions import ObjectLostError, RayTaskError, WorkerCrashedError

        for tries in range(_TRIES):
            try:
                return ray.get(reference)
            except RayTaskError as error:
                if not isinstance(error.cause, NotReadyError) or tries == _TRIES - 1:
                    raise
                copies.at([error.cause.node])
            except (ObjectLostError, WorkerCrashedError):
                if tries == _TRIES - 1:
                    raise
            reference = again()
        raise AssertionError


class _Copies:
    """Brings the matrix to the nodes: to each what it lacks."""

    def __init__(self, view: View, space: str, stamp: str) -> None:
        import ray

        self._view, self._space, self._stamp = view, space, stamp
        self._shape = Shape.of(view)
        self._short = view.bounds.short if self._shape.short_width is not None else None
        self._own = digests(view.directions, self._short)
        self._order = ray.put(np.ascontiguousarray(view.order))
        self._put: dict[bytes, list[Any]] = {}
        self.rows_sent = 0

    @property
    def processors(self) -> int:
        """Of all nodes."""
        import ray

        return max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]

    def everywhere(self) -> None:
        """Make all nodes ready that can run tasks."""
        self.at([node["NodeID"] for node in _nodes() if node["Alive"] and node["Resources"].get("CPU")])

    def at(self, nodes: list[str]) -> None:
        """Make these nodes ready. One that goes away meanwhile is left out."""
        asked = [(node, self._on(_held, node).remote(self._space, self._shape)) for node in nodes]
        held = [(node, found) for node, one in asked if (found := _unless_gone(one)) is not None]
        made = [
            self._on(_prepare, node).remote(self._space, self._shape, self._stamp, self._order, self._lacking(found))
            for node, found in held
        ]
        for one in made:
            _unless_gone(one)

    def _on(self, function: Callable[[], Any], node: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return function().options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False))

    def _lacking(self, held: Digests) -> list[Any]:
        """References to the portions that a node lacks; nodes that lack the same share them."""
        import ray

        rows = np.flatnonzero((held != self._own).any(axis=1))
        name = rows.tobytes()
        if name not in self._put:
            self.rows_sent += len(rows)
            self._put[name] = [
                ray.put(self._portion(rows[start : start + _SENT_ROWS])) for start in range(0, len(rows), _SENT_ROWS)
            ]
        return self._put[name]

    def _portion(self, rows: Rows) -> Portion:
        short = None if self._short is None else np.ascontiguousarray(self._short[rows])
        return Portion(rows, np.ascontiguousarray(self._view.directions[rows]), short)


def _nodes() -> list[dict[str, Any]]:
    import ray

    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return found


def _unless_gone(reference: Any) -> Any:
    import ray
    from ray.exceptions import NodeDiedError, TaskUnschedulableError, WorkerCrashedError

    try:
        return ray.get(reference)
    except (NodeDiedError, TaskUnschedulableError, WorkerCrashedError):
        return None


def _give_up(references: list[Any]) -> None:
    import ray

    for reference in references:
        ray.cancel(reference, force=False)


# The remote functions are made when they are first needed: this module is imported without Ray, too.


def _remote(function: Callable[..., Any], **options: Any) -> Any:
    import ray

    return ray.remote(**options)(function)


def _held() -> Any:
    return _remote(held_of_this_node, num_cpus=0)


def _prepare() -> Any:
    return _remote(prepare_this_node, num_cpus=0)


def _similar() -> Any:
    return _remote(similar_of_a_portion, num_cpus=1, scheduling_strategy="SPREAD")


def _nearest() -> Any:
    return _remote(nearest_of_a_portion, num_cpus=1, scheduling_strategy="SPREAD")


def held_of_this_node(space: str, shape: Shape) -> Digests:
    """A task: the digests of the rows that this node holds."""
    return _copy(space).held(shape)


def prepare_this_node(space: str, shape: Shape, stamp: str, order: Rows, lacking: list[Any]) -> None:
    """A task: write what this node lacks."""
    import ray

    _copy(space).prepare(shape, order, (ray.get(one) for one in lacking), stamp)


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
    view = _copy(space).view(stamp)
    if view.bounds.precision is Precision.BFLOAT16:
        import tensorflow  # noqa: F401  (multiplies such numbers, where it is loaded)
    return view


def _copy(space: str) -> NodeCopy:
    """The copy on this node. Two nodes on one machine have one each."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    folder = Path(tempfile.gettempdir()) / f"retrainer-ray-{os.getuid()}" / node / space
    return NodeCopy(folder, node)


def _alone(policy: PairPolicy) -> PairPolicy:
    """A task has one processor."""
    return policy.model_copy(update={"threads": 1})
