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
        keyless: rows that were met and left out, as an end of theirs names nobody.
    """

    pairs: list[PairKey]
    labels: list[object]
    weights: list[object]
    times: list[float | None]
    keyless: int = 0


class LabelStore(Protocol):
    """Where raw labels are read. Reading never changes anything and may be repeated."""

    def check_contract(self) -> None:
        """Whether the group is there and has the contract's columns. Looking creates nothing.

        Raises:
            ContractError: it does not; the message says what differs, and which setting names it.
        """

    def snapshot(self, changed: Collection[PairKey]) -> Iterator[LabelRows]:
        """Every label, in batches, each once, as of one moment not before the call.

        Args:
            changed: the labels known to have changed lately, as of `FeatureStore.snapshot`.
        """

    def read(self, pairs: Sequence[PairKey]) -> LabelRows:
        """The labels among `pairs` that are there now, each once, in any order. One that is absent is deleted."""

    def count(self) -> int | None:
        """How many labels there are, roughly, for progress; None where that cannot be told cheaply."""

    def close(self) -> None:
        """Give back files and connections. Closing twice is fine."""
