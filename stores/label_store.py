"""The label group as the trainer sees it: raw rows by pair, and all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.labels import PairKey


@dataclass(frozen=True, slots=True)
class LabelRows:
    """Some labels as they are stored, unchecked: `labels[i]`, `weights[i]` and `times[i]` belong to `pairs[i]`.

    Attributes:
        pairs: the two users of each.
        labels: a number, a word, or anything else that a column may hold; None where it is null.
        weights: a number; None where it is null. 1.0 of each where the group has no such column.
        times: when it was labelled, seconds since the epoch; None where it is null.
        keyless: number of rows that were left out because an end names nobody.
    """

    pairs: list[PairKey]
    labels: list[object]
    weights: list[object]
    times: list[float | None]
    keyless: int = 0


class LabelStore(Protocol):
    """A source of raw labels. Reading changes nothing and may be repeated."""

    def check_contract(self) -> None:
        """Check that the group is there and has the contract's columns. The check creates nothing.

        Raises:
            ContractError: the group differs; the message says in what, and which setting names it.
        """

    def snapshot(self, changed: Collection[PairKey]) -> Iterator[LabelRows]:
        """Every label, in batches, each once, as of one moment not before the call.

        Args:
            changed: labels that are known to have changed recently, as in `FeatureStore.snapshot`.
        """

    def read(self, pairs: Sequence[PairKey]) -> LabelRows:
        """The labels of `pairs` that are there now, each once, in any order. An absent label is deleted."""

    def count(self) -> int | None:
        """About how many labels there are, for progress only; None where that is expensive to know."""

    def close(self) -> None:
        """Release files and connections. Closing twice is fine."""
