"""P7: the arithmetic inside the saved model is the arithmetic that the pairs were made by."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from schemas.features import Column, FeatureGroup
from schemas.manifest import ScalarScale, SpaceInfo
from stores.feature_store import Floats
from tests.worlds import GROUP, World, names
from trainer.matrix.scaling import fit_scale, fit_space, scalar_drift, to_directions
from trainer.model import build

SEED_S = FeatureGroup()
TWO_SCALARS = FeatureGroup(columns=(Column(name="a", length=1), Column(name="v", length=4), Column(name="b", length=1)))
ONE_VECTOR = FeatureGroup(columns=(Column(name="v", length=7),))


USERS = 3000
NORMAL = np.random.default_rng(7).normal(size=USERS)
LATE = 1.7e9 + 3600 * NORMAL  # a unix time, of which float32 tells 128 seconds apart


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


def as_stored(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values as a feature store gives them, in float32."""
    return values.astype(np.float32).astype(np.float64)


def standardised(scale: ScalarScale, values: NDArray[np.float64]) -> NDArray[np.float64]:
    assert scale.low is not None
    assert scale.high is not None
    return np.asarray((np.clip(values, scale.low, scale.high) - scale.mean) / np.sqrt(scale.variance))


@pytest.mark.parametrize(
    "values", [NORMAL, 1990 + 8 * NORMAL, 1e-7 * NORMAL, 1e-30 * NORMAL, 1e14 * NORMAL, LATE, np.sign(NORMAL)]
)
def test_where_nobody_is_far_out_a_scalar_gets_mean_zero_and_variance_one(values: NDArray[np.float64]) -> None:
    values = as_stored(values)
    z = standardised(fit_scale(values), values)
    assert abs(z.mean()) < 0.03
    assert z.std() == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(z, (values - values.mean()) / values.std(), atol=0.03)


@given(
    far=st.floats(1e3, 9e14),
    negative=st.booleans(),
    share=st.sampled_from([1 / USERS, 0.01, 0.05]),
    column=st.sampled_from([NORMAL, 1990 + 8 * NORMAL, np.exp(NORMAL), NORMAL > -0.5, LATE]),
)
@settings(max_examples=60, deadline=None)
def test_outliers_are_clipped_and_change_little_for_anybody_else(
    far: float, negative: bool, share: float, column: NDArray[np.float64]
) -> None:
    values = as_stored(np.asarray(column, dtype=np.float64))
    before = fit_scale(values)
    spoilt = values.copy()
    spoilt[: int(share * USERS)] = values[0] + (-far if negative else far) * max(1.0, float(values.std()))
    after = fit_scale(spoilt)
    others = values[int(share * USERS) :]
    assert 0.7 < np.sqrt(after.variance / before.variance) < 1.2
    assert np.corrcoef(standardised(before, others), standardised(after, others))[0, 1] > 0.97
    assert np.abs(standardised(after, spoilt)).max() < 50


@pytest.mark.parametrize("share", [0.02, 0.03, 0.3])
@pytest.mark.parametrize("outlier", [1e12, -1e12, 50.0])
def test_a_flag_that_few_have_is_kept_and_an_outlier_beside_it_is_not(share: float, outlier: float) -> None:
    flag = (np.arange(USERS) < share * USERS).astype(np.float64)
    z = standardised(fit_scale(flag), flag)
    np.testing.assert_allclose(z, (flag - flag.mean()) / flag.std(), atol=1e-6)
    spoilt = np.append(flag, outlier)
    scale = fit_scale(spoilt)
    np.testing.assert_allclose(standardised(scale, flag), z, atol=1e-3)


def test_where_nearly_all_have_one_value_the_others_say_how_far_is_far() -> None:
    values = np.where(np.arange(USERS) < 0.97 * USERS, 1999.0, 1990 + 3 * NORMAL)
    scale = fit_scale(as_stored(np.append(values, 1e12)))
    assert scale.low is not None
    assert scale.high is not None
    assert 1950 < scale.low < values.min()
    assert 1999 <= scale.high < 2020
    assert scale.variance == pytest.approx(values.var(), rel=0.05)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05])
def test_a_heavy_tail_is_clipped_for_fewer_than_the_guard_minds(share: float) -> None:
    draw = np.random.default_rng(3)
    for tail in (draw.standard_cauchy(USERS), draw.pareto(0.5, USERS), draw.lognormal(0, 2, USERS)):
        values = np.where(np.arange(USERS) < share * USERS, tail, 0.0)
        scale = fit_scale(as_stored(values))
        assert scale.low is not None
        assert scale.high is not None
        assert ((values < scale.low) | (values > scale.high)).mean() < 0.05
        assert np.abs(standardised(scale, values)).max() < 50


@pytest.mark.parametrize(
    "values",
    [
        np.full(USERS, 1999.0),
        np.zeros(USERS),
        1.7e9 + 1e-4 * NORMAL,
        1.7e9 + 100 * NORMAL,  # a step or two of float32
        1999 + 1e-4 * NORMAL,
        1e-40 * NORMAL,
        np.append(np.full(USERS, 1999.0), 1e12),
        np.array([5.0]),
    ],
)
def test_what_is_constant_but_for_rounding_and_an_outlier_becomes_zero(values: NDArray[np.float64]) -> None:
    values = as_stored(values)
    scale = fit_scale(values)
    assert scale.low == scale.high == scale.mean
    assert not standardised(scale, np.append(values, [-1e12, 0.0, 1e14])).any()


HARD: dict[str, NDArray[np.float64]] = {
    "late": LATE,
    "an outlier": np.append(1e12, 1990 + 8 * NORMAL[1:]),
    "tiny": 1e-7 * NORMAL,
    "smaller": 1e-30 * NORMAL,
    "denormal": 1e-40 * NORMAL,
    "huge": 1e14 * NORMAL,
    "constant": np.full(USERS, 1.7e9),
    "a flag": np.arange(USERS) % 30 == 0,
}


@pytest.mark.full
@pytest.mark.parametrize("name", HARD)
def test_a_saved_model_scales_hard_columns_as_the_matrix_does(name: str, tmp_path: Path) -> None:
    import keras

    raw = np.resize(raw_of(GROUP), (USERS, GROUP.width))
    raw[:, -1] = HARD[name]
    raw[1], raw[2, :8], raw[3], raw[4, :-1] = 0.0, 0.0, 1e-40, 0.0
    raw[5, -1], raw[6, -1] = 9e14, -9e14
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        space = fit_space("s", GROUP, raw)
        directions = to_directions(space, GROUP, raw)
    space = SpaceInfo.model_validate_json(space.model_dump_json())
    build(space, GROUP, dropout=0.2, learning_rate=1e-3).whole.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
    inside = np.asarray(loaded.get_layer("preprocess")(raw))
    np.testing.assert_allclose(inside, directions, atol=2e-6)
    assert np.isfinite(np.asarray(loaded([raw, raw[::-1]]))).all()
    assert not inside[1].any()
    assert not inside[3].any()


def test_a_space_without_bounds_scales_as_it_did() -> None:
    raw = raw_of(GROUP)
    raw[0, -1] = 1e6
    old = SpaceInfo.model_validate_json('{"space_id": "s", "scalars": {"year": {"mean": 1990.0, "variance": 64.0}}}')
    z = (raw[:, -1:].astype(np.float64) - 1990) / 8
    blocks = [
        raw[:, where] / np.linalg.norm(raw[:, where], axis=1, keepdims=True) for where in (slice(8), slice(8, 13))
    ]
    whole = np.concatenate([*blocks, z], axis=1)
    expected = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    np.testing.assert_allclose(to_directions(old, GROUP, raw), expected, atol=1e-6)
    inside = np.asarray(build(old, GROUP, dropout=0.2, learning_rate=1e-3).preprocess(raw))
    np.testing.assert_allclose(inside, expected, atol=2e-6)
    assert scalar_drift(old, GROUP, raw)["year"].clipped == 0.0


def test_one_user_does_not_erase_a_column_for_the_others() -> None:
    raw = raw_of(SEED_S, 600)
    before = to_directions(fit_space("s", SEED_S, raw), SEED_S, raw)
    raw[0, -1] = 1e12
    after = to_directions(fit_space("s", SEED_S, raw), SEED_S, raw)
    np.testing.assert_allclose(after[1:], before[1:], atol=0.01)


def test_drift_is_told_by_column_in_standard_deviations_and_clipped_shares() -> None:
    raw = raw_of(TWO_SCALARS, 2000)
    space = fit_space("s", TWO_SCALARS, raw)
    still = scalar_drift(space, TWO_SCALARS, raw)
    assert list(still) == ["a", "b"]
    assert all(abs(drift.mean_z) < 1e-3 and drift.clipped == 0.0 for drift in still.values())
    moved = raw.copy()
    moved[:, 0] += 2 * raw[:, 0].std()
    moved[:100, -1] = 1e12
    moved[-400:] = 0.0  # they say nothing
    found = scalar_drift(space, TWO_SCALARS, moved)
    assert found["a"].mean_z == pytest.approx(2.0, abs=0.1)
    assert found["b"].clipped == pytest.approx(100 / 1600)
    assert scalar_drift(space, TWO_SCALARS, raw[:0]) == {"a": (0.0, 0.0), "b": (0.0, 0.0)}


def test_a_constant_column_that_begins_to_vary_counts_as_clipped_but_its_rounding_does_not() -> None:
    raw = raw_of(GROUP)
    raw[:, -1] = 1999.0
    space = fit_space("s", GROUP, raw)
    raw[:50, -1], raw[50:100, -1] = 2005.0, np.nextafter(np.float32(1999.0), np.float32(2000.0))
    assert scalar_drift(space, GROUP, raw)["year"] == (0.0, 0.25)
