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
    """Number of rows that were left out because their key names nobody; see `stores.keys`."""


class FeatureStore(Protocol):
    """A source of raw features. Reading changes nothing and may be repeated."""

    def check_contract(self) -> None:
        """Check that the group is there and has the contract's columns. The check creates nothing.

        Raises:
            ContractError: the group differs; the message says in what, and which setting names it.
        """

    def snapshot(self, changed: Collection[str]) -> Iterator[FeatureRows]:
        """Every user, in batches, each once, as of one moment not before the call.

        Args:
            changed: users who are known to have changed recently. A store whose bulk copy lags reads them by key;
                other stores ignore them.
        """

    def read(self, keys: Sequence[str]) -> FeatureRows:
        """The users of `keys` that are there now, each once, in any order. An absent user is deleted."""

    def count(self) -> int | None:
        """About how many users there are, for progress only; None where that is expensive to know."""

    def close(self) -> None:
        """Release files and connections. Closing twice is fine."""
