"""The axes of training users: what they keep, whom they leave outside, and what becomes of those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.matrix.axes import keeping_map, outside_energy, training_axes

EVERYONE = np.arange(500)


def users(strength: NDArray[Any], count: int = 500, seed: int = 0) -> Floats:
    """Unit rows whose independent numbers have this strength, in directions that the seed does not change."""
    turn = np.linalg.qr(np.random.default_rng(99).normal(size=(len(strength), len(strength))))[0]
    rows = (np.random.default_rng(seed).normal(size=(count, len(strength))) * strength) @ turn
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def only(first: int, last: int, width: int) -> Floats:
    found = np.zeros(width, dtype=np.float32)
    found[first:last] = 1.0
    return found


def unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


@given(width=st.integers(1, 160), independent=st.integers(1, 160), seed=st.integers(0, 9))
@settings(max_examples=15, deadline=None)
def test_nothing_is_lost_where_there_is_room_for_all(width: int, independent: int, seed: int) -> None:
    rows = users(only(0, min(independent, width), width), seed=seed)
    kept = rows @ keeping_map(rows, EVERYONE, 128).T
    if min(independent, width) <= 128:
        np.testing.assert_allclose(kept @ kept.T, rows @ rows.T, atol=1e-5)
    if width <= 128:
        strangers = users(np.ones(width, dtype=np.float32), 50)
        told = strangers @ keeping_map(rows, EVERYONE, 128).T
        np.testing.assert_allclose(told @ told.T, strangers @ strangers.T, atol=1e-5)


@pytest.mark.parametrize("independent", [40, 100, 128])
def test_lengths_outside_are_kept_in_the_mean(independent: int) -> None:
    known, strangers = users(only(0, independent, 300)), users(only(independent, 300, 300))
    length = np.square(strangers @ keeping_map(known, EVERYONE, 128).T).sum(axis=1)
    assert length.mean() == pytest.approx(1.0, abs=0.05)
    assert length.min() > 0.3


@pytest.mark.parametrize("strength", [np.ones(300), 0.97 ** np.arange(300), 0.9 ** np.arange(300)])
def test_what_is_outside_hardly_changes_the_cosines_of_training_users(strength: NDArray[Any]) -> None:
    rows = users(strength)
    cosine = rows @ rows.T
    leading = np.linalg.svd(rows.astype(np.float64), full_matrices=False)[2][:128]
    alone, both = (unit(rows @ kept.T) for kept in (leading, keeping_map(rows, EVERYONE, 128)))
    lost, kept = (np.sqrt(np.square(found @ found.T - cosine).mean()) for found in (alone, both))
    assert kept < max(1.05 * lost, 3e-4)


def test_the_map_is_made_of_training_users_only_and_the_same_twice() -> None:
    rows = users(0.97 ** np.arange(200, dtype=np.float32))
    others = rows.copy()
    others[300:] = rows[300:, ::-1]
    one, other = (keeping_map(matrix, EVERYONE[:300], 128) for matrix in (rows, others))
    np.testing.assert_array_equal(one, other)


def test_energy_outside_is_told_by_user() -> None:
    known = users(only(0, 60, 300))
    axes = training_axes(known, EVERYONE)
    assert axes.shape == (60, 300)  # and not the 128 that there is room for: nobody has the others
    strangers = users(only(60, 300, 300), 20)
    between = unit(known[:20] + strangers)
    zero = np.zeros((1, 300), dtype=np.float32)
    found = outside_energy(np.concatenate([known[:20], strangers, between, 7 * between, zero]), axes)
    np.testing.assert_allclose(found, np.repeat([0.0, 1.0, 0.5, 0.5, 0.0], [20, 20, 20, 20, 1]), atol=1e-5)


def test_energy_outside_stays_a_share_whatever_the_rows() -> None:
    rows = users(np.ones(20), 50)
    assert (outside_energy(rows, training_axes(rows, np.arange(50))) < 1e-6).all()
    nobody = np.empty(0, dtype=np.int64)
    assert training_axes(rows, nobody).shape == (0, 20)
    np.testing.assert_allclose(outside_energy(rows, training_axes(rows, nobody)), 1.0)


@pytest.mark.parametrize("count", [1, 2, 12])
@pytest.mark.parametrize("width", [1, 20, 300])
def test_a_handful_of_users_or_one_many_times_have_a_map_too(count: int, width: int) -> None:
    for rows in (users(np.ones(width), count), np.repeat(users(np.ones(width), 1), count, axis=0)):
        kept = rows @ keeping_map(rows, np.arange(count), 128).T
        np.testing.assert_allclose(kept @ kept.T, rows @ rows.T, atol=1e-5)
