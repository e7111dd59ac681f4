"""Two runs of vectors side by side, both in the order of the ids: what of the earlier one is still right."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from schemas.jobs.vectors import Tower
from stores.feature_store import Floats
from stores.vectors.blocks import Hashes, VectorBlock, VectorFile


class Earlier:
    """The vectors of before, read along with the new rows. Only the users up to those asked for are in memory."""

    def __init__(self, file: VectorFile, *, usable: bool, names: bool = False) -> None:
        """`usable`: whether its vectors are of the same towers; else only its ids count. `names`: keep `gone`."""
        self._blocks = file.blocks(None if usable else ())
        self._usable = usable
        self._block: VectorBlock | None = None
        self._next = 0
        self.removed = 0
        """Users so far who were there before and are not any more."""
        self.gone: list[str] = []
        """Their ids, where they are wanted."""
        self._names = names

    def unchanged(self, users: list[str], hashes: Hashes, into: dict[Tower, Floats]) -> NDArray[np.bool_]:
        """(users,) whose rows are as before; their vectors are copied `into` the arrays (users, dimension).

        `users` come after those of the call before.
        """
        kept = np.zeros(len(users), dtype=bool)
        found = 0
        place = {user: at for at, user in enumerate(users)}
        for block, start, end in self._until(users[-1]):
            ours, theirs = [], []
            for at in range(start, end):
                if (to := place.get(block.users[at])) is not None:
                    found += 1
                    if self._usable and block.hashes[at] == hashes[to]:
                        ours.append(to)
                        theirs.append(at)
                elif self._names:
                    self.gone.append(block.users[at])
            self.removed += end - start
            kept[ours] = True
            for tower, vectors in into.items() if ours else ():
                vectors[ours] = block.vectors[tower][theirs]
        self.removed -= found
        return kept

    def rest(self) -> None:
        """All that is left was removed."""
        for block, start, end in self._until(None):
            self.removed += end - start
            self.gone += block.users[start:end] if self._names else []

    def _until(self, last: str | None) -> Iterator[tuple[VectorBlock, int, int]]:
        """The parts of blocks with users up to `last`; None for all."""
        while True:
            if self._block is None or self._next == len(self._block.users):
                self._block, self._next = next(self._blocks, None), 0
                if self._block is None:
                    return
            block, start = self._block, self._next
            self._next = len(block.users) if last is None else bisect_right(block.users, last, lo=start)
            yield block, start, self._next
            if self._next < len(block.users):
                return
