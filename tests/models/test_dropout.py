"""A dropout that was changed holds from the next cycle on, and the manifest says what the model has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.cycle import CycleKind, Outcome
from schemas.manifest import MODEL_FILE
from stores.registry.files import read_manifest
from tests.models.test_cycle import Bench
from tests.worlds import GROUP, World, names
from trainer.learning.training_state import state
from trainer.matrix.scaling import fit_space
from trainer.model import TwoTower, build, load, with_dropout


def raw_rows(count: int = 40) -> Any:
    rows = World().rows(names(count))
    return np.stack([np.concatenate([row[column.name] for column in GROUP.columns]) for row in rows.values()])


def made(dropout: float) -> TwoTower:
    raw = raw_rows()
    return build(fit_space("s", GROUP, raw), GROUP, dropout, 1e-3)


def rates(model: TwoTower) -> list[float]:
    return [layer.rate for tower in (model.query, model.candidate) for layer in tower.layers if hasattr(layer, "rate")]


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.5), (0.5, 0.0), (0.2, 0.4)])
def test_a_model_of_another_dropout_is_the_same_but_for_that(tmp_path: Path, before: float, after: float) -> None:
    old = made(before)
    for variable in old.whole.optimizer.variables:
        variable.assign(variable + 1)
    new, raw = with_dropout(old, after), raw_rows()
    assert (rates(old), rates(new)) == ([before, before], [after, after])
    for one, other in zip(state(old), state(new), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(old.whole([raw, raw]), new.whole([raw, raw]))
    directions = new.preprocess(raw)
    drops = not np.array_equal(new.query(directions, training=True), new.query(directions, training=False))
    assert drops == (after > 0)
    new.whole.save(tmp_path / MODEL_FILE)
    again = load(tmp_path / MODEL_FILE)
    assert rates(again) == [after, after]
    np.testing.assert_array_equal(again.whole([raw, raw]), old.whole([raw, raw]))


def test_one_that_has_the_dropout_is_left_alone() -> None:
    model = made(0.2)
    assert with_dropout(model, 0.2) is model


@pytest.mark.full
def test_an_incremental_cycle_learns_with_the_dropout_of_its_settings(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(bench.request("c1", CycleKind.BOOTSTRAP))
    fit = bench.settings.fit.model_copy(update={"dropout": 0.3})
    settings = bench.settings.model_copy(update={"fit": fit})
    result = bench.run(bench.request("c2", CycleKind.INCREMENTAL, names(20), base=1, settings=settings))
    assert result.outcome is Outcome.REGISTERED, result
    folder = bench.registry.fetch(2)
    assert read_manifest(folder).fit.dropout == 0.3
    assert rates(load(folder / MODEL_FILE)) == [0.3, 0.3]
