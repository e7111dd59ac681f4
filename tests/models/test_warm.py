"""A trainer that has warmed up gives the version that it gives without: a toy leaves no name, seed or weight behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from schemas.policies import FitPolicy
from tests.worlds import GROUP
from trainer import __main__ as process
from trainer.learning.fit import training_step
from trainer.matrix.scaling import fit_space
from trainer.model import build
from trainer.warm import warm_up

RAW = np.random.default_rng(0).normal(size=(64, GROUP.width)).astype(np.float32)


def trained() -> list[Any]:
    """Weights, optimizer state included, of a few steps that draw dropout."""
    keras.utils.set_random_seed(7)
    model = build(fit_space("s", GROUP, RAW), GROUP, 0.3, 1e-2)
    step = training_step(model, 0.1, 1, FitPolicy())
    directions = tf.constant(RAW / np.linalg.norm(RAW, axis=1, keepdims=True))
    for _ in range(3):
        step(directions)
    return [*model.whole.get_weights(), *(variable.numpy() for variable in model.whole.optimizer.variables)]


def number(name: str) -> int:
    found = re.search(r"_(\d+)$", name)
    return int(found[1]) if found else 0


def test_a_version_after_the_toy_is_the_one_without_it() -> None:
    keras.utils.set_random_seed(7)
    before, named = trained(), keras.layers.Rescaling(1.0).name
    warm_up()
    assert number(keras.layers.Rescaling(1.0).name) == number(named) + 1
    for ours, theirs in zip(trained(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("asked", [True, False])
def test_a_request_that_waits_is_not_kept_waiting(asked: bool) -> None:
    told = "from trainer.__main__ import _is_asked; print(_is_asked())"
    reads, writes = os.pipe()
    if asked:
        os.write(writes, b"request.json\n")
    try:
        ran = subprocess.run([sys.executable, "-c", told], stdin=reads, capture_output=True, text=True, check=True)
    finally:
        os.close(reads)
        os.close(writes)
    assert ran.stdout == f"{asked}\n"


def test_a_toy_that_fails_costs_no_cycle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> None:
        raise MemoryError("no room for a toy")

    monkeypatch.setattr("trainer.warm.warm_up", failing)
    process._warm()
    assert "not warmed up: MemoryError: no room for a toy" in capsys.readouterr().err
