"""The connection of a trainer to a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from schemas.engine import MiningEngine, RayCluster
from trainer.distributed.errors import ClusterError
from trainer.distributed.mining import RayEngine
from trainer.distributed.workers import RayWorkers
from trainer.pairs.engine import LOCAL, Engine
from trainer.workers import HERE, Workers


@contextmanager
def mining_engine(kind: MiningEngine, cluster: RayCluster, space: str) -> Iterator[Engine]:
    """What mines the pairs of an embedding space; a cluster is connected to when it is first needed.

    Raises:
        ClusterError: Ray is not installed. While it mines: the cluster cannot be reached, or has another Ray or Python.
    """
    if kind is MiningEngine.LOCAL:
        yield LOCAL
        return
    with _connection(cluster) as connect_to_it:
        yield RayEngine(space, connect_to_it)


@contextmanager
def workers_of(kind: MiningEngine, cluster: RayCluster) -> Iterator[Workers]:
    """What scores models and computes vectors, as `mining_engine`; same errors."""
    if kind is MiningEngine.LOCAL:
        yield HERE
        return
    with _connection(cluster) as connect_to_it:
        yield RayWorkers(connect_to_it)


@contextmanager
def _connection(cluster: RayCluster) -> Iterator[Callable[[], None]]:
    """What connects to the cluster; afterwards the process is not connected, unless it was before."""
    if find_spec("ray") is None:
        raise ClusterError("RETRAINER_ENGINE=ray needs Ray, which is not installed: pip install 'retrainer[ray]'")
    import ray

    ours = not ray.is_initialized()
    try:
        yield lambda: connect(cluster)
    finally:
        if ours:
            ray.shutdown()


def connect(cluster: RayCluster) -> None:
    """Connect this process; does nothing where it is connected.

    Raises:
        ClusterError: the cluster cannot be reached, or has another Ray or Python.
    """
    import ray

    if ray.is_initialized():
        return
    own: dict[str, Any] = {} if cluster.address else {"include_dashboard": False}
    try:
        ray.init(address=cluster.address, log_to_driver=False, **own)
    except Exception as error:
        where = cluster.address or "on this machine"
        raise ClusterError(
            f"the Ray cluster {where} (RETRAINER_RAY__ADDRESS) cannot be used: {type(error).__name__}: {error}"
        ) from error
