"""A deadline for calls of the SDK that accept none."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def within(seconds: float, call: Callable[[], T]) -> T:
    """The result of `call`, or its error. A call that takes longer goes on in a thread of its own, unobserved.

    Raises:
        TimeoutError: the call took longer than `seconds`.
    """
    ended: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            ended.append((call(), None))
        except BaseException as error:  # noqa: BLE001  (it is raised in the thread that waits)
            ended.append((None, error))

    thread = threading.Thread(target=run, name="with-deadline", daemon=True)
    thread.start()
    thread.join(seconds)
    if not ended:
        raise TimeoutError(f"no answer within {seconds:g} s")
    value, error = ended[0]
    if error is not None:
        raise error
    result: T = value
    return result
