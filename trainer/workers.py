"""Who does the parts of a long piece of work: this process, or tasks on a Ray cluster. The results are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

P = TypeVar("P")
C = TypeVar("C")
R = TypeVar("R")


class Workers(Protocol):
    """Does work that is cut into parts."""

    def each(
        self, work: Callable[[P, Iterable[C]], R], parts: Iterable[P], common: Iterable[C], seconds: float
    ) -> Iterator[R]:
        """`work(part, common)` for each part, in the order of the parts.

        Args:
            work: a function of a module, or a `partial` of one; it changes neither of its arguments.
            parts: gone through once, some parts ahead of the result that is waited for.
            common: what every part is done with; gone through from its beginning for each part.
            seconds: about how long one processor takes for all parts.
        """


class Here:
    """Does it in this thread."""

    def each(
        self,
        work: Callable[[P, Iterable[C]], R],
        parts: Iterable[P],
        common: Iterable[C],
        seconds: float,  # noqa: ARG002  (whatever it takes)
    ) -> Iterator[R]:
        """See `Workers`."""
        return (work(part, common) for part in parts)


HERE = Here()
