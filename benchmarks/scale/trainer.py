"""A trainer on two cores that mines a part of the rows, each against all users, where all rows would take too long.

    python -m benchmarks.scale.trainer REQUEST.json SHARE

Everything else is the trainer that a service starts (`trainer.__main__`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

CORES = 2


class PartEngine:
    """Mines every so many rows of those that it is asked for."""

    def __init__(self, engine: Any, every: int) -> None:
        self._engine = engine
        self._every = every

    def precisions(self) -> Any:
        """See `trainer.pairs.engine.Engine`."""
        return self._engine.precisions()

    def similar(self, view: Any, rows: Any, policy: Any) -> Iterator[Any]:
        """See `trainer.pairs.engine.Engine`."""
        return self._engine.similar(view, rows[:: self._every], policy)  # type: ignore[no-any-return]

    def nearest(self, view: Any, rows: Any, policy: Any, depth: int, floor: Any) -> Iterator[Any]:
        """See `trainer.pairs.engine.Engine`."""
        return self._engine.nearest(view, rows[:: self._every], policy, depth, floor)  # type: ignore[no-any-return]


def main(request: str, share: float) -> int:
    """Run one cycle; the trainer's exit code."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    import trainer.__main__ as process
    import trainer.cycle as cycle

    real: Any = vars(cycle)["mining_engine"]

    @contextmanager
    def part(*given: Any) -> Iterator[Any]:
        with real(*given) as engine:
            yield engine if share == 1 else PartEngine(engine, round(1 / share))

    vars(cycle)["mining_engine"] = part
    sys.argv = ["trainer", request]
    return process.main()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
