"""Whatever the columns are called, a version can be used by whoever has Keras."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from schemas.features import Column, FeatureGroup
from trainer.matrix.scaling import fit_space
from trainer.model import QUERY, build

NAMES = ("genre embedding (v2)", "Ünïcode", "x>y", r"x\y", "a,b", "column-0", "column_0", "year released", "-")


@pytest.mark.parametrize("length", [1, 3])
def test_a_saved_tower_predicts_and_is_exported(tmp_path: Path, length: int) -> None:
    """Both make graphs, whose names TensorFlow is stricter with; what the trainer does makes none."""
    group = FeatureGroup(name="g", columns=tuple(Column(name=name, length=length) for name in NAMES))
    raw = np.random.default_rng(0).normal(size=(20, group.width)).astype(np.float32)
    tower = build(fit_space("s", group, raw), group, 0.0, 1e-3).tower(QUERY)
    tower.save(tmp_path / "tower.keras")
    loaded = keras.models.load_model(tmp_path / "tower.keras")
    np.testing.assert_allclose(loaded.predict(raw, verbose=0), tower(raw), atol=1e-6)
    loaded.export(tmp_path / "exported", verbose=False)
