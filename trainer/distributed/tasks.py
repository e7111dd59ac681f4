"""Tasks in order, a bounded number ahead, each sent again where its node or its result is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

_P = TypeVar("_P")

_AHEAD = 2  # tasks that wait, for each processor
_TRIES = 5  # of a task whose node or result is lost, beside those of Ray itself


def processors() -> int:
    """Of all nodes."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))  # type: ignore[no-untyped-call]


def in_order(
    parts: Iterable[_P], send: Callable[[_P], Any], mend: Callable[[Exception], bool]
) -> Iterator[tuple[_P, Any]]:
    """(part, result of its task) for each part, in order. Tasks that are not asked for any more are given up.

    Args:
        parts: gone through as tasks are sent.
        send: sends the task of a part.
        mend: told why a task has failed, makes good what it lacked; False where nothing can be done.
    """
    todo, ahead = iter(parts), _AHEAD * processors()
    sent: deque[tuple[_P, Any]] = deque()
    try:
        while True:
            while len(sent) < ahead and (more := next(todo, _NOTHING)) is not _NOTHING:
                sent.append((more, send(more)))  # type: ignore[arg-type]
            if not sent:
                return
            part, reference = sent.popleft()
            yield part, _result(part, reference, send, mend)
    finally:
        _give_up([reference for _, reference in sent])


_NOTHING = object()


def _result(part: _P, reference: Any, send: Callable[[_P], Any], mend: Callable[[Exception], bool]) -> Any:
    import ray
    from ray.exceptions import ObjectLostError, RayTaskError, WorkerCrashedError

    for tries in range(_TRIES):
        try:
            return ray.get(reference)
        except RayTaskError as error:
            if tries == _TRIES - 1 or not mend(error.cause):
                raise
        except (ObjectLostError, WorkerCrashedError):
            if tries == _TRIES - 1:
                raise
        reference = send(part)
    raise AssertionError


def _give_up(references: list[Any]) -> None:
    import ray

    for reference in references:
        ray.cancel(reference, force=False)
