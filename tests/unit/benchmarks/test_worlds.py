"""The drifting worlds are what they say: the same story for the same seed, and drift of the kind they are named for."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.worlds import WORLDS, DriftingWorld
from retrainer.demo.waves import Row
from stores.feature_store import Floats

_USERS, _WAVES, _SHARE = 200, 4, 0.1


def _world(name: str, seed: int = 0) -> DriftingWorld:
    return WORLDS[name](_USERS, _WAVES, _SHARE, seed)


def _matrix(rows: dict[str, Row]) -> Floats:
    return np.stack([np.concatenate(list(row.values())) for row in rows.values()])


@pytest.mark.parametrize("name", WORLDS)
def test_the_same_seed_tells_the_same_story_of_rows_that_the_group_takes(name: str) -> None:
    one, other = _world(name), _world(name)
    assert one.name == name
    assert len(one.initial) == _USERS
    told = list(one.waves)
    assert len(told) == _WAVES
    for rows, again in zip(
        [one.initial, *(wave.rows for wave in told)], [other.initial, *(w.rows for w in other.waves)], strict=True
    ):
        assert list(rows) == list(again)
        assert np.array_equal(_matrix(rows), _matrix(again))
        assert _matrix(rows).shape[1] == one.group.width
        assert np.isfinite(_matrix(rows)).all()
    for wave in told:
        assert set(wave.announced) <= set(wave.rows)


@pytest.mark.parametrize("numbers", [60, 130])
def test_newcomers_lie_in_directions_that_earlier_users_do_not_have(numbers: int) -> None:
    world = _world(f"directions_{numbers}")
    new = _matrix(next(world.waves).rows)
    old = _matrix(world.initial)
    assert np.abs(new @ old.T).max() < 1e-4
    assert np.linalg.matrix_rank(old, tol=1e-3) == numbers


def test_a_rotation_keeps_everybodys_cosines_and_moves_everybody() -> None:
    world = _world("rotation")
    before, after = _matrix(world.initial), _matrix(next(world.waves).rows)
    assert np.allclose(before @ before.T, after @ after.T, atol=1e-4)
    assert ((before * after).sum(axis=1) < 0.999 * (before * before).sum(axis=1)).all()


def test_the_scalar_rises_by_a_standard_deviation_a_wave() -> None:
    world = _world("scalar")
    before, *after = (_matrix(rows)[:, -1] for rows in [world.initial, *(wave.rows for wave in world.waves)])
    assert [np.mean(year - before) / np.std(before) for year in after] == pytest.approx([1, 2, 3, 4], rel=1e-3)


@pytest.mark.full
@pytest.mark.parametrize(("name", "announced"), [("reembedded", _USERS), ("reembedded_quietly", _USERS * _SHARE)])
def test_half_way_everybody_is_embedded_anew(name: str, announced: int) -> None:
    waves = list(_world(name).waves)
    assert [len(wave.rows) for wave in waves] == [20, 20, _USERS, 20]
    assert len(waves[2].announced) == announced
