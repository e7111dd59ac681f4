"""What a process is slow at the first time, done on a toy while it waits for a cycle; nobody reads the results.

TensorFlow and Keras load and translate much of themselves at their first use: building and copying a model, tracing the
step of a fit, the products and selections of an exam. A trainer is started ahead of time, so a cycle need not wait for
that. The graph of the cycle's own fit cannot be traced before the request says how wide it is; the second one of a
process takes a fraction of the first.

The toy has a thread of its own. Keras counts the names of layers, and keeps seeds, by thread; a cycle sets the seeds of
everything else before it draws. So a cycle after a toy gives the same version, bit for bit.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from schemas.features import FeatureGroup
from schemas.policies import FitPolicy, PairPolicy
from trainer.exam.evaluate import score
from trainer.exam.exam import prepare_exam
from trainer.learning.aligned_restart import restart_aligned
from trainer.learning.fit import training_step
from trainer.learning.initial_weights import set_initial_weights
from trainer.learning.validation import validation_exam
from trainer.matrix.scaling import fit_space, to_directions
from trainer.model import build, with_dropout

_USERS, _TASTES = 300, 15
_RATE = 1e-3


def warm_up() -> None:
    """Build, fit and examine a toy."""
    with ThreadPoolExecutor(1) as alone:
        alone.submit(_toy).result()


def _toy() -> None:
    group, pairs, policy, everyone = FeatureGroup(), PairPolicy(), FitPolicy(), np.arange(_USERS)
    draw = np.random.default_rng(0)
    tastes = draw.normal(size=(_TASTES, group.width))
    raw = (tastes[everyone % _TASTES] + 0.2 * draw.normal(size=(_USERS, group.width))).astype(np.float32)
    space = fit_space("toy", group, raw)
    directions = to_directions(space, group, raw)
    model = with_dropout(build(space, group, 0.0, _RATE), 0.1)
    set_initial_weights(model, directions, everyone, pairs.similarity_threshold)
    restart_aligned(model, directions, everyone, pairs.similarity_threshold, 0)
    step = training_step(model, pairs.similarity_threshold, pairs.negative_ratio, policy)
    for size in (_USERS, _USERS // 2, _USERS):  # the second size traces the graph of any size
        step(tf.constant(directions[:size]))
    dev = validation_exam(directions, everyone[::4], everyone[::8], everyone, pairs.similarity_threshold, policy, 0)
    if dev is not None:
        start = dev.score(model, own_line=True)
        dev.better(dev.score(model, start), start)
    score(model, prepare_exam(raw, directions, everyone[::5], everyone, pairs, 0))
