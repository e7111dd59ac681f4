"""Copies of a user matrix on the nodes of a Ray cluster: each node is brought what it lacks."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from trainer.distributed.errors import ClusterError
from trainer.distributed.node_copy import LOCK_FILE, Digests, NodeCopy, Portion, Shape, digests
from trainer.matrix.embeddings import Rows
from trainer.pairs.view import View

_SENT_ROWS = 65_536  # of a portion that is sent to nodes
_UNUSED_SECONDS = 7 * 86_400.0


class Copies:
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


# Remote functions are made when they are first needed: these modules are imported without Ray, too.


def remote(function: Callable[..., Any], **options: Any) -> Any:
    """A function as a task of Ray."""
    import ray

    return ray.remote(**options)(function)


def _held() -> Any:
    return remote(held_of_this_node, num_cpus=0)


def _prepare() -> Any:
    return remote(prepare_this_node, num_cpus=0)


def held_of_this_node(space: str, shape: Shape) -> Digests:
    """A task: the digests of the rows that this node holds."""
    return copy_on_this_node(space).held(shape)


def prepare_this_node(space: str, shape: Shape, stamp: str, order: Rows, lacking: list[Any]) -> None:
    """A task: write what this node lacks."""
    import ray

    copy_on_this_node(space).prepare(shape, order, (ray.get(one) for one in lacking), stamp)
    forget_old_copies(_folder_of_copies(), time.time())


def copy_on_this_node(space: str) -> NodeCopy:
    """The copy on this node. Two nodes on one machine have one each.

    Raises:
        ClusterError: the folder for copies belongs to somebody else.
    """
    import ray

    node = ray.get_runtime_context().get_node_id()
    return NodeCopy(_folder_of_copies() / node / space, node)


def forget_old_copies(folder: Path, now: float) -> None:
    """Delete the copies below a folder that no mining has used for a week: of spaces and nodes that are gone."""
    for copy in folder.glob("*/*"):
        with suppress(OSError):
            if now - (copy / LOCK_FILE).stat().st_mtime > _UNUSED_SECONDS:
                shutil.rmtree(copy)


def _folder_of_copies() -> Path:
    """Ours alone: rows of users lie there."""
    folder = Path(tempfile.gettempdir()) / f"retrainer-ray-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
        raise ClusterError(f"{folder} on a node is not a folder that only its user may read: remove it there")
    return folder
