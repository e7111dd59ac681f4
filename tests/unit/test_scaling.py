"""P7: the arithmetic inside the saved model is the arithmetic that the pairs were made by."""

from __future__ import annotations

import numpy as np
import pytest

from schemas.features import Column, FeatureGroup
from tests.worlds import GROUP, World, names
from trainer.features.protocol import Floats
from trainer.model import build
from trainer.scaling import fit_space, to_directions

SEED_S = FeatureGroup()
TWO_SCALARS = FeatureGroup(columns=(Column(name="a", length=1), Column(name="v", length=4), Column(name="b", length=1)))
ONE_VECTOR = FeatureGroup(columns=(Column(name="v", length=7),))


def raw_of(group: FeatureGroup, count: int = 200) -> Floats:
    rows = World(group=group).rows(names(count))
    return np.stack([np.concatenate([row[column.name] for column in group.columns]) for row in rows.values()])


@pytest.mark.parametrize("group", [GROUP, SEED_S, TWO_SCALARS, ONE_VECTOR], ids=["small", "seed", "scalars", "vector"])
def test_the_model_scales_as_the_matrix_does(group: FeatureGroup) -> None:
    raw = raw_of(group)
    space = fit_space("s", group, raw)
    inside = np.asarray(build(space, group, dropout=0.2, learning_rate=1e-3).preprocess(raw))
    np.testing.assert_allclose(inside, to_directions(space, group, raw), atol=1e-6)


@pytest.mark.parametrize("magnitude", [1e-20, 1e-12, 1e-7, 1e-6, 1e-3, 1e6, 9e14])
def test_it_does_so_at_every_magnitude_that_is_let_in(magnitude: float) -> None:
    raw = raw_of(GROUP)
    space = fit_space("s", GROUP, raw)
    raw[:, :8] *= np.float32(magnitude)
    inside = np.asarray(build(space, GROUP, dropout=0.2, learning_rate=1e-3).preprocess(raw))
    np.testing.assert_allclose(inside, to_directions(space, GROUP, raw), atol=1e-6)


def test_every_block_weighs_on_its_own_and_the_whole_is_one_long() -> None:
    raw = raw_of(SEED_S)
    space = fit_space("s", SEED_S, raw)
    directions = to_directions(space, SEED_S, raw).astype(np.float64)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0, atol=1e-6)
    genre, artist = (np.linalg.norm(directions[:, where], axis=1) for where in (slice(0, 100), slice(100, 200)))
    np.testing.assert_allclose(genre, artist, atol=1e-6)
    # A raw year near 2000 would leave the other blocks nothing.
    assert genre.min() > 0.1


def test_a_louder_vector_points_nowhere_else() -> None:
    raw = raw_of(GROUP)
    space = fit_space("s", GROUP, raw)
    louder = raw.copy()
    louder[:, :8] *= 50
    np.testing.assert_allclose(to_directions(space, GROUP, louder), to_directions(space, GROUP, raw), atol=1e-6)


def test_an_all_zero_row_has_no_direction_and_sways_no_statistic() -> None:
    raw = raw_of(GROUP)
    with_zero = np.concatenate([raw, np.zeros((5, GROUP.width), dtype=np.float32)])
    space = fit_space("s", GROUP, with_zero)
    assert space == fit_space("s", GROUP, raw)
    assert not to_directions(space, GROUP, with_zero)[-5:].any()


def test_a_scalar_that_never_varies_becomes_zero_not_noise() -> None:
    raw = raw_of(GROUP)
    raw[:, -1] = 1999.0
    directions = to_directions(fit_space("s", GROUP, raw), GROUP, raw)
    assert np.isfinite(directions).all()
    assert not directions[:, -1].any()


def test_an_empty_store_has_a_space_too() -> None:
    space = fit_space("s", GROUP, np.empty((0, GROUP.width), dtype=np.float32))
    assert space.scalars["year"].variance == 1.0
