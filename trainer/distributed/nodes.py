"""What the nodes of a Ray cluster are, by their own word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schemas.engine import RayCluster
from trainer.distributed.cluster import connect

RELEASE = "release"


def asked_of_nodes(cluster: RayCluster) -> dict[str, dict[str, str | None]]:
    """For each node that can run tasks, by its address: its release of Retrainer, and how many processors it has.

    Raises:
        ClusterError: the cluster cannot be used.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    connect(cluster)
    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    asked = {}
    for node in found:
        if node["Alive"] and (processors := node["Resources"].get("CPU")):
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            # Code that the node does not have could not even be named there: this travels with the task.
            task = ray.remote(_release_here()).options(num_cpus=0, scheduling_strategy=here)
            name = f"{node['NodeManagerAddress']} ({node['NodeID'][:8]})"
            asked[name] = (task.remote(), str(int(processors)))
    return {
        name: {RELEASE: ray.get(reference), "processors": processors} for name, (reference, processors) in asked.items()
    }


def _release_here() -> Callable[[], str | None]:
    """A function that is sent by value: it needs nothing of ours."""

    def release() -> str | None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("retrainer")
        except PackageNotFoundError:
            return None

    return release
