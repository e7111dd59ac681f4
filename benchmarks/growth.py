"""How the time of an update grows with the number of users, when as many change as before."""

from __future__ import annotations

import numpy as np

from benchmarks.ours import DEFAULT_CAP, Maintained, policy
from benchmarks.peers import same_lists
from benchmarks.planted import CLUSTER, THRESHOLD, Planted
from benchmarks.rows import Row, Setup, figure
from benchmarks.timing import Times, timed
from trainer.matrix.embeddings import Rows

NAME = "pairs.growth"


def growth(setup: Setup) -> list[Row]:
    """The exponent of time in n for 500 changed users, n from 25,000 to 400,000: least squares in log-log."""
    sizes = [1_000, 2_000, 4_000] if setup.quick else [25_000, 50_000, 100_000, 200_000, 400_000]
    measured = [_update(setup, users) for users in sizes]
    counts, medians = np.log(measured).T
    exponent = float(np.polyfit(counts, medians, 1)[0])
    taken = ", ".join(f"{seconds:.3g} s at {users:,}" for users, seconds in measured)
    note = f"{taken}; clusters of {CLUSTER} around random directions, matrix on disk, graph known beforehand"
    return [figure(NAME, exponent, "exponent", most=1.05, note=note)]


def _update(setup: Setup, users: int) -> tuple[int, float]:
    """How many users there were, and the median time of an update with 500 changed ones."""
    changes = setup.size(500, 50)
    path = setup.folder / "directions.f32"
    world = Planted(path, users)
    ours = Maintained(world.directions, policy(THRESHOLD, DEFAULT_CAP), folder=setup.folder, lists=world.links())
    draw = np.random.default_rng(1)

    def change() -> Rows:
        rows = draw.choice(world.users, size=changes, replace=False)
        become = world.members(draw.integers(world.users // CLUSTER, size=changes))
        taken.append(timed(lambda: ours.change(rows, become))[1])
        return rows

    taken: list[float] = []
    first = change()
    looked_at = np.union1d(first[:10], draw.integers(world.users, size=10))
    same_lists(ours.directions, ours.lists(), looked_at, THRESHOLD, DEFAULT_CAP)
    for _ in range(setup.size(5, 1)):
        change()
    path.unlink()
    return world.users, Times(tuple(taken[1:])).median
