"""A registered version without a cycle: a model with drawn weights, and a manifest from the golden example."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import schemas
from schemas.cycle import TrainerSettings
from schemas.manifest import ModelManifest, SpaceInfo
from stores.feature_store import Floats
from stores.features.local import LocalFeatureStore
from stores.registry.local import LocalModelRegistry
from tests.worlds import GROUP, World, names, trainer_settings
from trainer.matrix.scaling import fit_space
from trainer.model import TwoTower, build
from trainer.package import stage

_GOLDEN = Path(schemas.__file__).parent / "golden" / "model_manifest.json"


def raw_rows(users: int, seed: int = 0) -> Floats:
    """Rows (users, width) of a small world."""
    rows = World(seed).rows(names(users)).values()
    return np.stack([np.concatenate([np.ravel(row[column.name]) for column in GROUP.columns]) for row in rows])


def space() -> SpaceInfo:
    """A space of that world."""
    return fit_space("c000001-00000000", GROUP, raw_rows(200))


def a_model() -> TwoTower:
    """A model whose weights are drawn."""
    model = build(space(), GROUP, dropout=0.1, learning_rate=0.001)
    model.rescale(7.0, -2.0)
    return model


def manifest_of(cycle_id: str) -> ModelManifest:
    """A manifest of the world's group."""
    golden = ModelManifest.model_validate_json(_GOLDEN.read_bytes())
    return golden.model_copy(update={"cycle_id": cycle_id, "feature_group": GROUP, "space": space(), "files": ()})


def registered(folder: Path, versions: int = 1, *, users: int = 200) -> TrainerSettings:
    """A store and a registry in `folder`, with so many versions of one model."""
    settings = trainer_settings(folder)
    store = LocalFeatureStore(folder / "store.db", GROUP)
    if users:
        store.commit(World(1).rows(names(users)))
    store.close()
    registry, model = LocalModelRegistry(folder / "registry", settings.model_name), a_model()
    for number in range(1, versions + 1):
        stage(folder / "staged", model, manifest_of(f"c{number:06}-00000000"), {})
        registry.register(folder / "staged")
    return settings
