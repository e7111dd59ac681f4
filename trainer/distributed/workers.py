"""Parts of a long piece of work as tasks on a Ray cluster; what they have in common is sent to each node once.

A task calls the same function with equal arguments as this process would, on one thread. So the results are the same,
bit for bit, wherever nodes have processors of one kind: libraries round the last bit of a product by the kind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any

from trainer.distributed.copies import remote
from trainer.distributed.tasks import in_order
from trainer.workers import HERE, C, P, R

_WORTH_SENDING = 20.0  # seconds of one processor; for less this machine is done before workers have loaded TensorFlow


class RayWorkers:
    """Does work on the nodes of a Ray cluster.

    Args:
        connect: connects this process to the cluster, where it is not connected yet.
        worth: seconds of one processor from which work is sent away.
    """

    def __init__(self, connect: Callable[[], None], worth: float = _WORTH_SENDING) -> None:
        self._connect = connect
        self._worth = worth
        self._connecting = Lock()  # models are scored side by side

    def each(
        self, work: Callable[[P, Iterable[C]], R], parts: Iterable[P], common: Iterable[C], seconds: float
    ) -> Iterator[R]:
        """See `trainer.workers.Workers`."""
        if seconds < self._worth:
            return HERE.each(work, parts, common, seconds)
        with self._connecting:
            self._connect()
        return self._shared(work, parts, common)

    def _shared(self, work: Callable[[P, Iterable[C]], R], parts: Iterable[P], common: Iterable[C]) -> Iterator[R]:
        import ray
        from ray.exceptions import ObjectLostError

        packed = ray.cloudpickle.dumps(work)  # type: ignore[no-untyped-call]
        task = remote(part_of_a_work, num_cpus=1, scheduling_strategy="SPREAD")
        shared = [ray.put(one) for one in common]

        def put_again(error: Exception) -> bool:
            if isinstance(error, ObjectLostError):
                shared[:] = [ray.put(one) for one in common]
                return True
            return False

        for _, result in in_order(parts, lambda part: task.remote(packed, part, shared), put_again):
            yield result


class _Fetched:
    """What parts have in common, fetched one by one as it is gone through."""

    def __init__(self, references: list[Any]) -> None:
        self._references = references

    def __iter__(self) -> Iterator[Any]:
        import ray

        return (ray.get(one) for one in self._references)


def part_of_a_work(packed: bytes, part: Any, common: list[Any]) -> Any:
    """A task: one part of a work, which arrives packed: its modules load TensorFlow, and that reads the variables."""
    import ray

    os.environ.update(_AS_IN_A_TRAINER)
    return ray.cloudpickle.loads(packed)(part, _Fetched(common))


_AS_IN_A_TRAINER = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
