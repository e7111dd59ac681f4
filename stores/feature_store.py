"""The feature store as the trainer sees it: raw rows by key, and all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FeatureRows:
    """Some users' raw features, unchecked: a block may be missing (None), of a wrong length, or not finite.

    `columns[name][i]` belongs to user `keys[i]`; every column of the contract is there.
    """

    keys: list[str]
    columns: dict[str, list[Floats | None]]
    keyless: int = 0
    """Rows that were met and left out, as their key names nobody; see `stores.keys`."""


class FeatureStore(Protocol):
    """Where raw features are read. Reading never changes anything and may be repeated."""

    def check_contract(self) -> None:
        """Whether the group is there and has the contract's columns. Looking creates nothing.

        Raises:
            ContractError: it does not; the message says what differs, and which setting names it.
        """

    def snapshot(self, changed: Collection[str]) -> Iterator[FeatureRows]:
        """Every user, in batches, each once, as of one moment not before the call.

        Args:
            changed: the users who are known to have changed lately. A store whose bulk copy lags reads them by key
                instead; for one that does not, they mean nothing.
        """

    def read(self, keys: Sequence[str]) -> FeatureRows:
        """The users among `keys` that are there now, each once, in any order. One that is absent is deleted."""

    def count(self) -> int | None:
        """How many users there are, roughly: for progress, nothing else. None where that cannot be told cheaply."""

    def close(self) -> None:
        """Give back files and connections. Closing twice is fine."""
