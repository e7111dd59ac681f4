"""User matrix, pairs and labels as the champion's space has them, beside those that the stores ask for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from schemas.labels import pair_text
from schemas.manifest import ModelManifest
from schemas.policies import PairPolicy
from stores.feature_store import Floats
from stores.features.local import LocalFeatureStore
from stores.features.reading import read_all
from stores.labels import reading as labels_of
from stores.labels.local import LocalLabelStore
from tests.crash.follows import LABELS
from tests.worlds import GROUP
from trainer.matrix.scaling import to_directions
from trainer.pairs.similarity import similarity
from trainer.space import Space

Pair = tuple[str, str]
Said = tuple[bool, float, float]
"""Of a label: whether the two are similar, how much it counts, and when it was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Rows are directions, by user; labels by `pair_text`."""

    stored_rows: Mapping[str, bytes] = field(default_factory=dict)
    matrix_rows: Mapping[str, bytes] = field(default_factory=dict)
    pairs: frozenset[Pair] = frozenset()
    defined_pairs: frozenset[Pair] = frozenset()
    stored_labels: Mapping[str, Said] = field(default_factory=dict)
    book_labels: Mapping[str, Said] = field(default_factory=dict)


def examine(spaces: Path, manifest: ModelManifest, store_file: Path, waiting: Collection[str]) -> Matrix | None:
    """The space of a version, while no trainer works in it; None where it cannot be opened.

    Users who are waiting may have changed since they were read: by definition they are what the matrix has of them.
    """
    space = Space.open(spaces / manifest.space.space_id, manifest.space, GROUP)
    if space is None:
        return None
    with closing(space), closing(LocalFeatureStore(store_file, GROUP)) as store:
        stored = read_all(store, GROUP, (), lambda _done: None)
        there = dict(zip(stored.keys, to_directions(manifest.space, GROUP, stored.raw), strict=True))
        keys, rows = space.matrix.users()
        held = {key: space.matrix.directions[row].copy() for key, row in zip(keys, rows.tolist(), strict=True)}
        key_of = dict(zip(rows.tolist(), keys, strict=True))
        should = {key: row for key, row in there.items() if key not in waiting}
        should |= {key: row for key, row in held.items() if key in waiting}
        return Matrix(
            stored_rows={key: row.tobytes() for key, row in there.items()},
            matrix_rows={key: row.tobytes() for key, row in held.items()},
            pairs=frozenset(_named(key_of[one], key_of[other]) for one, other in space.graph.pairs().tolist()),
            defined_pairs=by_definition(should, manifest.pairs),
            stored_labels=_stored_labels(store_file),
            book_labels={pair_text(pair): said for pair, said in space.labels().labels().items()},
        )


def _stored_labels(store_file: Path) -> dict[str, Said]:
    with closing(LocalLabelStore(store_file, LABELS)) as store:
        found = labels_of.read_all(store, LABELS, (), lambda _done: None)
    said = zip(found.positive.tolist(), found.weight.tolist(), found.at.tolist(), strict=True)
    return dict(zip(map(pair_text, found.pairs), said, strict=True))


def by_definition(rows: Mapping[str, Floats], policy: PairPolicy) -> frozenset[Pair]:
    """Everybody against everybody: kept for a user are the nearest of those who are similar, ties by id."""
    keys = sorted(rows)
    everyone = np.arange(len(keys))
    table = np.array([rows[key] for key in keys], dtype=np.float32)
    pairs: set[Pair] = set()
    for at, key in enumerate(keys):
        alike = similarity(table, np.full(len(keys), at), everyone)
        similar = np.flatnonzero(alike > policy.similarity_threshold).tolist()
        near = [(-float(alike[other]), keys[other]) for other in similar if other != at]
        pairs |= {_named(key, other) for _, other in sorted(near)[: policy.max_positives_per_user]}
    return frozenset(pairs)


def _named(one: str, other: str) -> Pair:
    return (one, other) if one < other else (other, one)
