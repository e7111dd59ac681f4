"""What more users than anybody has measured would take; on paper, from what was measured. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

CORES = 2
"""Of the machine that was measured, and of a worker."""
LONGEST = 600.0
"""Seconds that a cycle may take."""
PRICE = 0.05
"""Of a core for an hour, in dollars: about what clouds ask on demand."""
_QUADRATIC = "pair"

Figures = Mapping[str, float]
"""Of one size, by name: `full.pair`, `full.pair.memory`, `space`."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One kind of cycle with so many users.

    Attributes:
        rest: seconds of all steps but the pairs, on one machine.
        pairs: seconds of the pairs on one machine of two cores.
        workers: machines of two cores that bring the cycle below ten minutes; None where the rest alone takes longer.
        cost: of the workers for one cycle, in dollars; where there is no number of workers, of as many hours of one.
    """

    rest: float
    pairs: float
    workers: int | None
    cost: float


def plan(found: Mapping[int, Figures], kind: str, users: int) -> Plan:
    """The plan for a `kind` of cycle, `full` or `incremental`.

    Steps grow as a straight line through the two largest sizes that were measured; pairs by the square of the largest:
    everybody against everybody, or 1 % of them.
    """
    steps = {name.split(".")[1] for name in found[max(found)] if name.startswith(f"{kind}.") and name.count(".") == 1}
    rest = sum(line(found, f"{kind}.{step}", users) for step in steps if step not in {_QUADRATIC, "vectors"})
    quadratic = f"{kind}.{_QUADRATIC}"
    large = max(size for size, told in found.items() if quadratic in told)
    pairs = whole(found[large], quadratic) * (users / large) ** 2
    alone = LONGEST - rest
    workers = math.ceil(pairs / alone) if alone > 0 else None
    busy = workers * LONGEST if workers is not None else rest + pairs
    return Plan(rest, pairs, workers, busy / 3600 * CORES * PRICE)


def line(found: Mapping[int, Figures], name: str, users: int) -> float:
    """A figure on the straight line through the two largest sizes of which it was measured; never less than there.

    One that was measured of one size alone grows in proportion.
    """
    sizes = sorted(size for size, told in found.items() if name in told)[-2:]
    large, high = sizes[-1], whole(found[sizes[-1]], name)
    small, low = (sizes[0], whole(found[sizes[0]], name)) if len(sizes) > 1 else (0, 0.0)
    return max(high, high + (high - low) / (large - small) * (users - large))


def whole(figures: Figures, name: str) -> float:
    """A figure, of a step of which a part was measured as if all of it took as long in proportion."""
    return figures.get(name, 0.0) / figures.get(f"{name}.share", 1.0)
