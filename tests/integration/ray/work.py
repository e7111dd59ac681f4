"""Work for tests, in a module that a worker imports in a moment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def slowly(part: int, common: Iterable[Any]) -> int:
    """A part that takes some time."""
    for _ in range(10):
        for one in common:
            np.sort(one + part)
    return part


def divided(part: int, common: Iterable[int], by: int) -> float:
    """A part that may fail."""
    return sum(common) * part / by
