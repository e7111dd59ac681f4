"""A Ray cluster of two nodes of this machine, all of it gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tests.unit.project.code import ROOT
from tests.waiting import wait_until
from trainer.distributed.tasks import processors

T = TypeVar("T")
_STARTS = 5


class TwoNodes:
    """The cluster. The first node is the head; nodes may be added and removed."""

    def __init__(self, cluster: Any, others: Sequence[int] = (1,)) -> None:
        self._cluster = cluster
        self._others = [self._added(processors) for processors in others]

    @property
    def address(self) -> str:
        """Of the head."""
        return str(self._cluster.address)

    def lose_one(self) -> None:
        """Have a node end that is not the head, with all that it holds."""
        self._cluster.remove_node(self._others.pop(), allow_graceful=False)

    def gain_one(self) -> None:
        """Have a node join."""
        self._others.append(self._added())

    def wait_until_known(self) -> None:
        """Until Ray, to which this process is connected, knows which nodes there are: it sends work to a lost one."""
        import ray

        def alive() -> int:
            return sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]

        wait_until(lambda: alive() == 1 + len(self._others), 90.0, "Ray to know its nodes")

    def _added(self, processors: int = 1) -> Any:
        return patiently(lambda: self._cluster.add_node(num_cpus=processors))


def patiently(start: Callable[[], T]) -> T:
    """Start a node, again where Ray gives it up: it waits half a minute, which a busy machine may need longer."""
    for _ in range(_STARTS - 1):
        with suppress(Exception):
            return start()
    return start()


@contextmanager
def workers_of(nodes: Sequence[int]) -> Iterator[None]:
    """This process is connected to a cluster of so many nodes, each with so many workers."""
    import ray

    with tempfile.TemporaryDirectory() as copies, two_nodes(Path(copies), nodes) as cluster:
        try:
            ray.init(address=cluster.address, log_to_driver=False)
            wait_until(lambda: processors() == sum(nodes), 60.0, "all nodes")
            yield
        finally:
            ray.shutdown()


@contextmanager
def two_nodes(copies: Path, processors: Sequence[int] = (1, 1)) -> Iterator[TwoNodes]:
    """The cluster, or one of another size; its nodes keep their copies in a folder.

    The environment of this process reaches it meanwhile.
    """
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    short = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # Ray's sockets need a short path
    os.environ |= {
        "RAY_AUTH_MODE": "disabled",  # a cluster of this test alone, on loopback
        "TMPDIR": str(copies),
        "PYTHONPATH": str(ROOT),
        "RAY_TMPDIR": short,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    cluster = patiently(
        lambda: Cluster(initialize_head=True, head_node_args={"num_cpus": processors[0], "include_dashboard": False})
    )
    try:
        yield TwoNodes(cluster, processors[1:])
    finally:
        cluster.shutdown()  # type: ignore[no-untyped-call]
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(short, ignore_errors=True)
