"""A rotated model is the same model elsewhere: no cosine of it changes, and it lies as near as a rotation brings it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.manifest import ScalarScale, SpaceInfo
from tests.models.test_space import checked
from tests.worlds import GROUP, World, names, trainer_settings
from trainer.learning.fit import TrainingData, fit
from trainer.learning.rotation import rotate, rotate_onto, rotation_onto, some_of
from trainer.learning.training_state import restore, state
from trainer.matrix.population import populate
from trainer.matrix.scaling import fit_space
from trainer.matrix.split import Part
from trainer.model import TwoTower, build
from trainer.space import Space

SPACE = SpaceInfo(space_id="s", scalars={"year": ScalarScale(mean=1990.0, variance=64.0)})
RAW = np.stack([np.concatenate(list(row.values())) for row in World().rows(names(300)).values()])
TRAIN = np.arange(200)


def new_model(seed: int, space: SpaceInfo = SPACE) -> TwoTower:
    keras.utils.set_random_seed(seed)
    model = build(space, GROUP, 0.0, 1e-3)
    for tower in (model.query, model.candidate):
        draw = np.random.default_rng(seed)
        tower.set_weights([array + draw.normal(scale=0.05, size=array.shape) for array in tower.get_weights()])
    return model


def embeddings(model: TwoTower) -> list[NDArray[np.float64]]:
    directions = model.preprocess(RAW)
    return [np.asarray(tower(directions)).astype(np.float64) for tower in (model.query, model.candidate)]


def some_rotation(seed: int, size: int = 128) -> NDArray[np.float64]:
    return np.asarray(np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0])


@pytest.mark.parametrize("seed", range(4))
def test_no_cosine_inside_the_model_changes_and_both_towers_get_the_same_rotation(seed: int) -> None:
    model, rotation = new_model(seed), some_rotation(seed)
    before, line, told = embeddings(model), model.scale(), model.whole([RAW[:-1], RAW[1:]]).numpy()
    rotate(model, rotation)
    after = embeddings(model)
    for one in (0, 1):
        np.testing.assert_allclose(after[one], before[one] @ rotation, atol=2e-6)
        for other in (0, 1):
            np.testing.assert_allclose(after[one] @ after[other].T, before[one] @ before[other].T, atol=2e-6)
    assert model.scale() == line
    np.testing.assert_allclose(model.whole([RAW[:-1], RAW[1:]]).numpy(), told, atol=1e-4)


@pytest.mark.parametrize("seed", range(4))
def test_a_rotated_copy_is_brought_back_and_no_other_rotation_is_nearer(seed: int) -> None:
    model = new_model(seed)
    mine = embeddings(model)
    turned = [one @ some_rotation(seed) for one in mine]
    found = rotation_onto(mine, turned)
    np.testing.assert_allclose(found @ found.T, np.eye(128), atol=1e-9)
    for one, other in zip(mine, turned, strict=True):
        np.testing.assert_allclose(one @ found, other, atol=1e-6)
    others = embeddings(new_model(seed + 10))
    best = rotation_onto(mine, others)

    def apart(rotation: NDArray[np.float64]) -> float:
        return float(sum(np.square(one @ rotation - other).sum() for one, other in zip(mine, others, strict=True)))

    near = best @ np.linalg.qr(np.eye(128) + 0.01 * np.random.default_rng(seed).normal(size=(128, 128)))[0]
    assert apart(best) < min(apart(near), apart(np.eye(128)), apart(some_rotation(seed)))


def test_a_user_without_numbers_does_not_count_and_nobody_turns_nothing() -> None:
    mine, others = embeddings(new_model(0)), embeddings(new_model(1))
    broken = [one.copy() for one in others]
    broken[1][7] = np.nan
    kept = np.arange(len(RAW)) != 7
    np.testing.assert_array_equal(
        rotation_onto(mine, broken), rotation_onto([one[kept] for one in mine], [one[kept] for one in others])
    )
    np.testing.assert_array_equal(rotation_onto(mine, [np.full_like(one, np.nan) for one in others]), np.eye(128))


def test_held_out_users_do_not_turn_a_model_and_the_other_model_scales_as_it_does() -> None:
    """P5: rows that are no training users' may be anything. The other's scaling is inside it."""
    elsewhere = SpaceInfo(space_id="t", scalars={"year": ScalarScale(mean=1980.0, variance=4.0)})
    other, weights = new_model(1, elsewhere), []
    for noise in (0.0, 5.0):
        model, raw = new_model(0), RAW.copy()
        raw[len(TRAIN) :] += noise
        rotate_onto(other, model, raw, TRAIN)
        weights.append(model.query.get_weights())
        apart = [
            np.linalg.norm(one[TRAIN] - there[TRAIN])
            for one, there in zip(embeddings(model), embeddings(other), strict=True)
        ]
        start = [
            np.linalg.norm(one[TRAIN] - there[TRAIN])
            for one, there in zip(embeddings(new_model(0)), embeddings(other), strict=True)
        ]
        assert sum(apart) < 0.9 * sum(start)
    for one, again in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, again)
    before = state(model)
    rotate_onto(other, model, RAW, TRAIN[:0])
    for one, again in zip(before, state(model), strict=True):
        np.testing.assert_array_equal(one, again)


def test_many_users_are_thinned_evenly() -> None:
    assert len(some_of(np.arange(4096))) == 4096
    found = some_of(np.arange(10_000))
    assert len(found) <= 4096
    assert set(np.diff(found)) == {3}


@pytest.mark.full
def test_a_rotated_model_has_no_moments_and_the_next_fit_would_forget_them(tmp_path: Path) -> None:
    """So nothing of a cycle depends on what rotation does to the optimizer's state."""
    rows, settings = checked(World().rows(names(300))), trainer_settings(tmp_path)
    with closing(Space.create(tmp_path / "s", fit_space("s", GROUP, rows.raw), GROUP)) as space:
        space.apply(rows, [])
        space.update_pairs(settings.pairs, lambda _done, _of: None)
        population = populate(space.matrix, settings.split)
        model, train = new_model(0, space.info), population.of(Part.TRAIN)
        rotate_onto(new_model(1, space.info), model, space.matrix.raw, train)
        assert not any(np.asarray(variable).any() for variable in model.whole.optimizer.variables)
        start, ends = state(model), []
        for moment in (0.0, 0.5):
            restore(model, start)
            for variable in model.whole.optimizer.variables[2:]:
                variable.assign(np.full(variable.shape, moment, dtype=np.float32))
            fit(
                model,
                TrainingData.of(space, population, train[:50], settings, 0),
                settings.fit,
                epochs=2,
                learning_rate=1e-3,
                seed=0,
                warm_start=True,
                on_epoch=lambda _epoch: None,
            )
            ends.append(model.whole.get_weights())
    assert any((one != before).any() for one, before in zip(ends[0], start, strict=False))
    for one, again in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, again)
