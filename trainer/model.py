"""The two-tower model: two towers of one shape, the cosine of their outputs, a learned scale and bias, a probability.

All preprocessing lies inside (P7): the model takes raw concatenated rows. It is built of Keras's own layers alone, so
it loads anywhere with `safe_mode` on. Scale and bias are a Dense layer of one unit on the cosine.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from schemas.features import FeatureGroup
from schemas.manifest import ScalarScale, SpaceInfo
from stores.errors import RegistryError
from trainer.matrix.remembered import Remembered
from trainer.matrix.scaling import SMALLEST

QUERY, CANDIDATE = "query", "candidate"
_EMBEDDING = 128
_START_SCALE, _START_BIAS = (
    10.0,
    -5.0,
)  # replaced when training from scratch begins (`trainer.learning.initial_weights`)


@dataclass(frozen=True, slots=True)
class TwoTower:
    """A whole model and the parts that training needs.

    Attributes:
        whole: raw query rows and raw candidate rows, each (batch, width), to probabilities (batch, 1).
        query, candidate: directions (batch, width) to unit embeddings (batch, 128).
        scale_and_bias: the Dense layer that turns a cosine into a logit.
        preprocess: raw rows to directions, both (batch, width).
        remembered: its candidates in the matrix of a cycle; None where the model, or the matrix, may change.
    """

    whole: Any
    query: Any
    candidate: Any
    scale_and_bias: Any
    preprocess: Any
    remembered: Remembered | None = field(default=None, compare=False, repr=False)

    def tower(self, name: str) -> Any:
        """One tower alone, raw rows (batch, width) to unit embeddings (batch, 128), as it is exported."""
        core = self.query if name == QUERY else self.candidate
        raw = keras.Input((core.input_shape[1],), name="features")
        return keras.Model(raw, core(self.preprocess(raw)), name=f"{name}_tower")

    def scale(self) -> tuple[float, float]:
        """The learned scale and bias: probability = sigmoid(scale * cosine + bias)."""
        kernel, bias = self.scale_and_bias.get_weights()
        return float(kernel[0, 0]), float(bias[0])

    def answers_as(self, other: TwoTower) -> bool:
        """Whether both give the same answer to everything, bit for bit: the same weights behind the same scaling."""
        mine, its = ([one.preprocess, one.query, one.candidate, one.scale_and_bias] for one in (self, other))
        return all(_same(*both) for both in zip(mine, its, strict=True))

    def rescale(self, scale: float, bias: float) -> None:
        """Replace the scale and bias."""
        self.scale_and_bias.set_weights([np.array([[scale]], np.float32), np.array([bias], np.float32)])


def _same(one: Any, other: Any) -> bool:
    """Whether two parts have the same layers with the same weights. Layers of other names may be taken for others."""
    if one.get_config() != other.get_config():
        return False
    mine, its = one.get_weights(), other.get_weights()
    return len(mine) == len(its) and all(np.array_equal(*both) for both in zip(mine, its, strict=True))


def build(space: SpaceInfo, group: FeatureGroup, dropout: float, learning_rate: float) -> TwoTower:
    """A new model for an embedding space, with its optimizer."""
    preprocess = _preprocess(space, group)
    query, candidate = (_tower(group.width, name, dropout) for name in (QUERY, CANDIDATE))
    scale_and_bias = layers.Dense(
        1,
        name="scale_and_bias",
        kernel_initializer=keras.initializers.Constant(_START_SCALE),
        bias_initializer=keras.initializers.Constant(_START_BIAS),
    )
    ends = [keras.Input((group.width,), name=name) for name in (QUERY, CANDIDATE)]
    cosine = layers.Dot(axes=1, name="cosine")([query(preprocess(ends[0])), candidate(preprocess(ends[1]))])
    probability = layers.Activation("sigmoid", name="probability")(scale_and_bias(cosine))
    whole = keras.Model(ends, probability, name="two_tower")
    whole.compile(optimizer=keras.optimizers.Adam(learning_rate), loss="binary_crossentropy", metrics=["accuracy"])
    whole.optimizer.build(whole.trainable_variables)
    return TwoTower(whole, query, candidate, scale_and_bias, preprocess)


def load(path: Path) -> TwoTower:
    """A saved model with its optimizer's state.

    Raises:
        RegistryError: the file is no model of ours.
    """
    try:
        return _parts_of(keras.models.load_model(path, safe_mode=True))
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise RegistryError(f"{path.name} does not load as a two-tower model: {error}") from error


def with_dropout(model: TwoTower, rate: float) -> TwoTower:
    """The same model, weights and optimizer state included, that drops out `rate` while it is trained.

    A layer of Keras keeps the rate that it was made with, so one of another rate is a new model.
    """
    before = model.whole
    config = before.get_config()
    if all(layer["config"]["rate"] == rate for layer in _dropouts(config)):
        return model
    for layer in _dropouts(config):
        layer["config"]["rate"] = rate
    whole = type(before).from_config(config)
    whole.set_weights(before.get_weights())
    whole.compile_from_config(before.get_compile_config())
    whole.optimizer.build(whole.trainable_variables)
    for ours, theirs in zip(whole.optimizer.variables, before.optimizer.variables, strict=True):
        ours.assign(theirs)
    return _parts_of(whole)


def _dropouts(config: Any) -> Iterator[dict[str, Any]]:
    """The Dropout layers in a model's configuration, however deep."""
    inner = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    if isinstance(config, dict) and config.get("class_name") == "Dropout":
        yield config
    for one in inner:
        yield from _dropouts(one)


def _parts_of(whole: Any) -> TwoTower:
    names = (f"{QUERY}_core", f"{CANDIDATE}_core", "scale_and_bias", "preprocess")
    return TwoTower(whole, *(whole.get_layer(name) for name in names))


def _preprocess(space: SpaceInfo, group: FeatureGroup) -> Any:
    """`trainer.matrix.scaling.to_directions` as layers."""
    raw = keras.Input((group.width,), name="raw")
    blocks = []
    for at, (name, where) in enumerate(group.slices().items()):
        block, named = raw[:, where.start : where.stop], _in_a_graph(name, at)
        if name in space.scalars:
            blocks.append(_standardised(block, space.scalars[name], named))
        else:
            blocks.append(layers.UnitNormalization(name=f"unit_{named}")(block))
    joined = layers.Concatenate(name="blocks")(blocks) if len(blocks) > 1 else blocks[0]
    direction = layers.UnitNormalization(name="direction")(joined)
    told = keras.ops.max(keras.ops.absolute(raw), axis=1, keepdims=True) >= SMALLEST
    return keras.Model(raw, direction * keras.ops.cast(told, "float32"), name="preprocess")


def _in_a_graph(column: str, at: int) -> str:
    """A column's name as part of a layer's; its place, where graphs (`predict`, exports) take no such name."""
    return column if re.fullmatch("[A-Za-z0-9_]+", column) else f"column-{at}"


def _standardised(block: Any, scale: ScalarScale, name: str) -> Any:
    """Clipped, centred, divided, in this order: the difference of two near float32 numbers is exact.

    Not by Keras's Normalization, which divides by 1e-7 at least.
    """
    if scale.low is not None and scale.high is not None:
        block = keras.ops.clip(block, scale.low, scale.high)
    centred = layers.Rescaling(1.0, offset=-scale.mean, name=f"centre_{name}")(block)
    return layers.Rescaling(1.0 / np.sqrt(scale.variance).item(), name=f"standardise_{name}")(centred)


def _tower(width: int, name: str, dropout: float) -> Any:
    direction = keras.Input((width,), name="direction")
    hidden = layers.Dense(256, activation="relu", name=f"{name}_1")(direction)
    hidden = layers.Dropout(dropout, name=f"{name}_dropout")(hidden)
    hidden = layers.Dense(128, activation="relu", name=f"{name}_2")(hidden)
    hidden = layers.Dense(_EMBEDDING, name=f"{name}_3")(hidden)
    return keras.Model(direction, layers.UnitNormalization(name=f"{name}_unit")(hidden), name=f"{name}_core")
