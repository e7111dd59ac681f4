"""What mines: the processors of this machine, or those of a Ray cluster. The pairs are the same, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from schemas.policies import PairPolicy
from trainer.matrix.embeddings import Rows
from trainer.pairs.hardware import fast_precisions
from trainer.pairs.links import Links
from trainer.pairs.mining import mine_nearest, mine_similar
from trainer.pairs.precision import Precision
from trainer.pairs.similarity import RowIds, Similarities
from trainer.pairs.view import View


class Engine(Protocol):
    """Mines rows of a user matrix exactly. Arguments and results are those of `trainer.pairs.mining`."""

    def precisions(self) -> tuple[Precision, ...]:
        """The precisions to choose bounds from: those that are multiplied fast where it mines."""

    def similar(self, view: View, rows: Rows, policy: PairPolicy) -> Iterator[tuple[int, tuple[RowIds, RowIds]]]:
        """Every similar user of each of `rows`, portion by portion."""

    def nearest(
        self, view: View, rows: Rows, policy: PairPolicy, depth: int, floor: Similarities | None
    ) -> Iterator[tuple[int, tuple[Links, Links]]]:
        """The nearest similar users of each of `rows`, and the users that may have `rows` among their nearest."""


class LocalEngine:
    """Mines in threads of this process, with a GPU where the trainer has one."""

    def precisions(self) -> tuple[Precision, ...]:
        """See `Engine`."""
        return fast_precisions()

    def similar(self, view: View, rows: Rows, policy: PairPolicy) -> Iterator[tuple[int, tuple[RowIds, RowIds]]]:
        """See `Engine`."""
        return mine_similar(view, rows, policy)

    def nearest(
        self, view: View, rows: Rows, policy: PairPolicy, depth: int, floor: Similarities | None
    ) -> Iterator[tuple[int, tuple[Links, Links]]]:
        """See `Engine`."""
        return mine_nearest(view, rows, policy, depth, floor)


LOCAL = LocalEngine()
