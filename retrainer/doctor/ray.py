"""The Ray cluster that mines pairs: whether it can be used, and whether its nodes run the same code."""

from __future__ import annotations

from importlib.metadata import version

from consumer.settings import Settings
from retrainer.doctor.checks import Check, CheckFailed, Finding, failed, ok
from retrainer.doctor.context import CheckContext
from schemas.engine import MiningEngine

NAME = "Ray cluster"

_RAY = "have the cluster and this machine run one version of Ray and of Python; `pip install 'ray==VERSION'`"
_SLOW = (
    "the Ray that is started here needs longer: look again when the machine is less busy, or name a cluster by "
    "RETRAINER_RAY__ADDRESS"
)
_STARTS = 40.0  # seconds: without a cluster a Ray of its own starts, which takes half a minute on two busy cores
_CODE = "install this release of Retrainer, with `retrainer[ray]`, on every node of the cluster"


def ray_checks(context: CheckContext) -> list[Check]:
    """Whether pairs can be mined on the cluster that is set; no check where none mines."""
    if context.settings.engine is not MiningEngine.RAY:
        return []
    address = context.settings.ray.address
    slow = f"see whether the head of the cluster is up, and {address} is reached from here" if address else _SLOW
    return [Check(NAME, lambda: _cluster(context.settings), deadline=_STARTS, todo=slow)]


def _cluster(settings: Settings) -> Finding:
    from trainer.distributed.cluster import mining_engine
    from trainer.distributed.errors import ClusterError
    from trainer.distributed.nodes import RELEASE, asked_of_nodes

    try:
        with mining_engine(settings.engine, settings.ray, "doctor"):
            nodes = asked_of_nodes(settings.ray)
    except ClusterError as error:
        raise CheckFailed(str(error), _RAY) from None
    ours = version("retrainer")
    other = {node: said[RELEASE] for node, said in nodes.items() if said[RELEASE] != ours}
    if other:
        named = ", ".join(f"{node} has {found or 'none'}" for node, found in sorted(other.items()))
        return failed(f"{len(other)} of {len(nodes)} nodes do not run Retrainer {ours}: {named}", _CODE)
    processors = sum(int(said["processors"] or 0) for said in nodes.values())
    return ok(f"{len(nodes)} nodes with {processors} processors, all with Retrainer {ours}")
