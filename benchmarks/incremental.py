"""Some users changed: who is similar to them now? Against faiss and scikit-learn, and against the seed's notebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.data import DataSet, absent, data_sets, generated
from benchmarks.ours import Maintained, policy
from benchmarks.peers import Search, faiss_search, panorama_search, same_pairs, sklearn_search
from benchmarks.rows import NotMeasured, Row, Setup, faster, not_measured
from benchmarks.timing import fastest_of, in_turns
from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows

VS_FAISS = "pairs.incremental_vs_faiss"
VS_PANORAMA = "pairs.incremental_vs_panorama"
VS_SKLEARN = "pairs.incremental_vs_sklearn"
VS_SEED = "pairs.incremental_vs_seed"

_PEERS: list[tuple[str, str, float, Callable[[Floats, Rows, float], Search]]] = [
    (VS_FAISS, "faiss IndexFlatIP.range_search", 2, faiss_search),
    (VS_PANORAMA, "faiss IndexFlatIPPanorama.range_search", 2, panorama_search),
    (VS_SKLEARN, "sklearn radius_neighbors", 3, sklearn_search),
]


def vs_libraries(setup: Setup) -> list[Row]:
    """500 changed users against 50,000, uncapped as the libraries know no cap; every data set, and the worst counts."""
    users, changes = setup.size(50_000, 2_000), setup.size(500, 50)
    found: dict[str, list[Row]] = {name: [] for name, *_ in _PEERS}
    for data in data_sets(setup, users, changes):
        for name, row in _one_set(setup, data):
            found[name].append(row)
    return [row for name, *_ in _PEERS for row in (_worst(name, found[name], absent(setup)), *found[name])]


def _one_set(setup: Setup, data: DataSet) -> list[tuple[str, Row]]:
    changed = np.random.default_rng(0).choice(len(data.directions), size=len(data.spare), replace=False)
    directions = data.directions.copy()
    directions[changed] = data.spare
    ours = Maintained(directions, policy(data.threshold, None))
    rows = []
    for name, peer, least, search_of in _PEERS:
        shown = f"{name}.{data.name}"
        try:
            search = search_of(directions, changed, data.threshold)
        except NotMeasured as why:
            rows.append((name, not_measured(shown, f"ratio >= {least:,g}", str(why))))
            continue
        links = ours.similar(changed)
        same_pairs(directions, data.threshold, links, search(), peer)
        mine, theirs = in_turns(lambda: ours.similar(changed), search, setup.size(9, 1))
        note = f"{data.note}; {len(links):,} links; {fastest_of(mine, theirs)}"
        rows.append((name, faster(shown, mine.median, peer, theirs.median, least=least, note=note)))
    return rows


def _worst(name: str, rows: list[Row], lacking: str) -> Row:
    """The row that counts."""
    measured = [row for row in rows if row.ratio is not None]
    if not measured:
        return replace(rows[0], name=name)
    worst = min(measured, key=lambda row: row.ratio or 0.0)
    return replace(worst, name=name, note=f"the worst of {len(rows)}: {worst.name.removeprefix(name + '.')}{lacking}")


def vs_seed(setup: Setup) -> list[Row]:
    """1 % of 8,000 users changed: the graph updated, against a full recomputation as in the seed's notebook."""
    from benchmarks.notebook import pair_vectors
    from benchmarks.notebook import pairs as notebook_pairs

    users, rounds = setup.size(8_000, 600), setup.size(3, 1)
    changes, threshold = users // 100, 0.8
    rows = generated(users + changes * (rounds + 1))
    spare = np.split(rows[users:], rounds + 1)
    ours = Maintained(rows[:users].copy(), policy(threshold, None))
    ours.mine_all()
    draw = np.random.default_rng(0)

    def regenerate() -> None:
        ours.negatives(ours.change(draw.choice(users, size=changes, replace=False), spare.pop()))

    regenerate()
    pairs = ours.pairs()
    same_pairs(ours.directions, threshold, pairs, notebook_pairs(ours.directions, threshold), "the notebook")
    mine, theirs = in_turns(regenerate, lambda: pair_vectors(ours.directions, threshold), rounds)
    note = f"{changes} of {users:,} generated listeners; {len(pairs):,} pairs, uncapped; {fastest_of(mine, theirs)}"
    return [faster(VS_SEED, mine.median, "the seed's notebook", theirs.median, least=1000, note=note)]
