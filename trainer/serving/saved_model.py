"""Writes a model as a SavedModel: no Keras is needed to run it, and preprocessing lies inside (P7).

Inputs and outputs of each signature: `schemas.jobs.saved_model.SIGNATURES`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from schemas.jobs.saved_model import BOTH, CANDIDATE_ONLY, QUERY_ONLY, SIGNATURES
from trainer.model import CANDIDATE, QUERY, TwoTower


def write_saved_model(model: TwoTower, folder: Path) -> None:
    """Write the model below `folder`, as `saved_model.pb` and `variables`; other files there stay."""
    width = model.query.input_shape[1]
    archive = keras.export.ExportArchive()
    archive.track(model.whole)
    for name, function in _functions(model).items():
        inputs, _ = SIGNATURES[name]
        given = [tf.TensorSpec((None, width), tf.float32, name=one) for one in inputs]
        archive.add_endpoint(name, function, input_signature=given)
    archive.write_out(str(folder), verbose=False)


def _functions(model: TwoTower) -> dict[str, Any]:
    """What each signature computes; the names of the arguments are those of its inputs."""

    def both(query: Any, candidate: Any) -> Any:
        return {SIGNATURES[BOTH][1]: model.whole([query, candidate], training=False)}

    def one(tower: Any) -> Any:
        def embed(features: Any) -> Any:
            return {SIGNATURES[QUERY_ONLY][1]: tower(features, training=False)}

        return embed

    return {BOTH: both, QUERY_ONLY: one(model.tower(QUERY)), CANDIDATE_ONLY: one(model.tower(CANDIDATE))}
