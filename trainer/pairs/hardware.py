"""The precisions in which this machine multiplies bounds fast, by trial: a machine that errs is not believed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import cache

import numpy as np

from stores.feature_store import Floats
from trainer.pairs.bounds import Projection
from trainer.pairs.filters import DeviceFilter, DeviceRows, no_room, tensor_cores
from trainer.pairs.precision import Precision

GPU = "/GPU:0"
_TRIAL_ROWS, _TRIAL_OTHERS, _TRIAL_WIDTH = 256, 4096, 96
_WORTH_IT = 1.3


def fast_precisions() -> tuple[Precision, ...]:
    """The precisions to choose from here: TF32 where a GPU multiplies, else those of the processor."""
    return (Precision.TF32,) if accelerator() else processor_precisions()


@cache
def accelerator() -> str | None:
    """The GPU that multiplies bounds, as TensorFlow names it; None where there is none.

    It is one that TensorFlow is loaded for and may use (`trainer.device`), with room for a trial, whose products are
    within their error.
    """
    tf = sys.modules.get("tensorflow")
    if tf is None or not tf.config.get_visible_devices("GPU"):
        return None
    try:
        return GPU if multiplies_right(GPU) else None
    except no_room():  # others have taken it
        return None


def multiplies_right(device: str) -> bool:
    """Whether products of TF32 on a device are within their error of the exact ones, as far as a trial shows."""
    left, right = _trial()
    short = Projection.whole(_TRIAL_WIDTH, Precision.TF32)
    with tensor_cores():
        rows = DeviceRows(short.bounds(short.shorten(right)), device)
        nobody = np.empty(0, np.int64)
        at, found = DeviceFilter(rows, -2.0).above(short.shorten(left), (nobody, nobody), 0, left.size * right.size)
    exact = (left.astype(np.float64) @ right.T.astype(np.float64)).reshape(-1)
    if len(at) != len(exact):  # also for NaN
        return False
    return bool(np.abs(found - exact[at]).max() <= Precision.TF32.error(_TRIAL_WIDTH))


@cache
def processor_precisions() -> tuple[Precision, ...]:
    """The precisions of the processor: bfloat16, too, where TensorFlow is loaded, correct and clearly faster."""
    if "tensorflow" not in sys.modules:
        return (Precision.FLOAT32,)
    left, right = _trial()
    out = np.empty((_TRIAL_ROWS, _TRIAL_OTHERS), dtype=np.float32)
    half = Precision.BFLOAT16
    few, many = half.store(left), half.store(right)
    coarse = half.read(half.product(few, many, out))
    if not np.abs(coarse - left.astype(np.float64) @ right.T).max() <= half.error(_TRIAL_WIDTH):  # also for NaN
        return (Precision.FLOAT32,)
    slow = _seconds(lambda: Precision.FLOAT32.product(left, right, out))
    faster = slow > _WORTH_IT * _seconds(lambda: half.product(few, many, out))
    return (Precision.FLOAT32, half) if faster else (Precision.FLOAT32,)


def _trial() -> tuple[Floats, Floats]:
    """Unit rows of two blocks."""
    rows = np.random.default_rng(0).standard_normal((_TRIAL_ROWS + _TRIAL_OTHERS, _TRIAL_WIDTH), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[:_TRIAL_ROWS], rows[_TRIAL_ROWS:]


def _seconds(run: Callable[[], object]) -> float:
    """The shortest of three runs."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)
