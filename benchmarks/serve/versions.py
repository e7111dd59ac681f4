"""Versions to serve: real towers in a local registry, over a local feature store."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import numpy as np

import schemas
from schemas.features import FeatureGroup
from schemas.manifest import CANDIDATE_TOWER_FILE, MANIFEST_FILE, QUERY_TOWER_FILE, ModelManifest
from stores.features.local import LocalFeatureStore
from trainer.matrix.scaling import fit_space
from trainer.model import CANDIDATE, QUERY, build

GROUP = FeatureGroup()
MODEL = "two_tower_recommender"
STORE = "feature_store.db"
_GOLDEN = Path(schemas.__file__).parent / "golden" / "model_manifest.json"
_CENTRES = 50


def fill(state: Path, users: int) -> None:
    """Users `u0`, `u1`, ... around some centres."""
    draw = np.random.default_rng(0)
    centres = {column.name: draw.normal(size=(_CENTRES, column.length)) for column in GROUP.columns}
    rows = {}
    for number in range(users):
        centre = int(draw.integers(_CENTRES))
        rows[f"u{number}"] = {
            name: (centre_of[centre] + 0.3 * draw.normal(size=centre_of.shape[1])).astype(np.float32)
            for name, centre_of in centres.items()
        }
    with closing(LocalFeatureStore(state / STORE, GROUP)) as store:
        store.commit(rows)


def make(state: Path, count: int) -> None:
    """Versions 1 to `count`: the odd ones have the same towers, and the even ones have others."""
    registry = state / "registry" / MODEL
    golden = ModelManifest.model_validate_json(_GOLDEN.read_bytes())
    raw = np.random.default_rng(1).normal(size=(1000, GROUP.width)).astype(np.float32)
    space = fit_space("served", GROUP, raw)
    manifest = golden.model_copy(update={"feature_group": GROUP, "space": space, "index_compatible_with": None})
    for version in range(1, count + 1):
        folder = registry / str(version)
        if version > 2:
            shutil.copytree(registry / str(version - 2), folder)
            continue
        folder.mkdir(parents=True)
        model = build(space, GROUP, 0.1, 1e-3)  # weights are drawn, another time for each
        model.tower(QUERY).save(folder / QUERY_TOWER_FILE)
        model.tower(CANDIDATE).save(folder / CANDIDATE_TOWER_FILE)
        (folder / MANIFEST_FILE).write_text(manifest.model_dump_json())
