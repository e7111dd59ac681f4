"""Everybody mined from an empty graph, against the least that a plain way has to do: the product of all with all."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from benchmarks.data import absent, data_sets
from benchmarks.ours import DEFAULT_CAP, Maintained, policy
from benchmarks.peers import same_lists, upper_product
from benchmarks.rows import Row, Setup, faster
from benchmarks.timing import fastest_of, in_turns

NAME = "pairs.full_vs_product"
_PEER = "bare float32 product of the upper triangle"


def vs_product(setup: Setup) -> list[Row]:
    """Full mining of 50,000, capped as by default; generated listeners count, the other data sets are listed."""
    users = setup.size(50_000, 2_000)
    sample = np.random.default_rng(0).choice(users, size=setup.size(500, 50), replace=False)
    rows = []
    for data in data_sets(setup, users, 0):
        ours = Maintained(data.directions, policy(data.threshold, DEFAULT_CAP))
        ours.mine_all()
        links = ours.lists()
        same_lists(data.directions, links, sample, data.threshold, DEFAULT_CAP)
        upper_product(data.directions[: users // 10])  # warm enough: the whole takes seconds
        mine, theirs = in_turns(ours.mine_all, partial(upper_product, data.directions), setup.size(2, 1))
        note = f"{data.note}; {len(links):,} links kept, the lists of {len(sample)} checked; {fastest_of(mine, theirs)}"
        rows.append(faster(f"{NAME}.{data.name}", mine.median, _PEER, theirs.median, least=1.2, note=note))
    told = f"generated listeners, the first of {len(rows)} data sets{absent(setup)}"
    return [replace(rows[0], name=NAME, note=told), *rows]
