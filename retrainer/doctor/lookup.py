"""A fact that several checks need, looked up once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lookup(Generic[T]):
    """A question whose answer is kept: the first call looks, later calls get the same answer.

    A look that raises leaves no answer, so the next call looks again. Checks run one after the other, and a check that
    needs another one's answer is skipped where that one failed; so nothing is looked up twice in vain.
    """

    def __init__(self, look: Callable[[], T]) -> None:
        self._look = look
        self._answers: list[T] = []

    @staticmethod
    def of(answer: T) -> Lookup[T]:
        """A lookup that has its answer already."""
        found = Lookup(lambda: answer)
        found()
        return found

    def __call__(self) -> T:
        """The answer; whatever the look raises."""
        if not self._answers:
            self._answers.append(self._look())
        return self._answers[0]

    @property
    def known(self) -> T | None:
        """The answer where some check has looked it up already; None elsewhere. Nothing is looked up here."""
        return self._answers[0] if self._answers else None
