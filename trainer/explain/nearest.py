"""The users nearest to one by a registered version: the query tower for the one, the candidate tower for all."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from schemas.jobs.explanation import Near, NearestUsers
from schemas.manifest import MODEL_FILE
from stores.errors import RegistryError
from stores.feature_store import Floats
from stores.model_registry import ModelRegistry
from stores.registry.files import read_manifest
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower, load

_AT_ONCE = 8192


@dataclass(frozen=True, slots=True)
class Everyone:
    """All users with their raw rows.

    Attributes:
        keys: the users, and `rows` where each is in `raw`.
        raw: (capacity, width), maybe mapped.
        source: where they are from, in words.
    """

    keys: list[str]
    rows: Rows
    raw: Floats
    source: str


def nearest_by(
    registry: ModelRegistry, version: int, user: str, row: Floats, everyone: Everyone, most: int
) -> NearestUsers:
    """The `most` users nearest to `user`, whose raw row (width,) is `row`, by a version; or why there are none."""
    try:
        folder = registry.fetch(version)
        manifest, model = read_manifest(folder), load(folder / MODEL_FILE)
    except RegistryError as error:
        return NearestUsers(version=version, note=f"version {version} cannot be read from the registry: {error}")
    if manifest.feature_group.width != len(row):
        return NearestUsers(version=version, note=f"version {version} was trained on other columns")
    direction = np.asarray(model.preprocess(row[None]))
    if not direction.any():
        return NearestUsers(version=version, note="its row has no direction, so nobody is near it")
    query = np.asarray(model.query(direction, training=False))[0]
    found = _nearest(model, query, user, everyone, most)
    scale, bias = model.scale()
    return NearestUsers(
        version=version,
        users=tuple(
            Near(user=who, cosine=cosine, probability=float(1 / (1 + np.exp(-(scale * cosine + bias)))))
            for cosine, who in found
        ),
    )


def _nearest(model: TwoTower, query: Floats, user: str, everyone: Everyone, most: int) -> list[tuple[float, str]]:
    """(cosine, user) of the nearest, by blocks; ties by id. Users without a direction take no part."""
    best: list[tuple[float, str]] = []
    for at in range(0, len(everyone.keys), _AT_ONCE):
        keys = everyone.keys[at : at + _AT_ONCE]
        directions = np.asarray(model.preprocess(np.asarray(everyone.raw[everyone.rows[at : at + _AT_ONCE]])))
        cosines = np.asarray(model.candidate(directions, training=False)) @ query
        cosines[~directions.any(axis=1)] = -np.inf
        some = np.argsort(-cosines, kind="stable")[: most + 1]
        found = [(float(cosines[each]), keys[each]) for each in some if np.isfinite(cosines[each])]
        best = heapq.nsmallest(most + 1, [*best, *found], key=lambda one: (-one[0], one[1]))
    return [one for one in best if one[1] != user][:most]
