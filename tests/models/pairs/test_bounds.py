"""Bounds lose nothing: for any rows, axes and precision the similarity lies between them, and no pair is left out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.feature_store import Floats
from tests.models.pairs.test_graph import KINDS, blocks_of, bounds_of, low_rank, principal_axes, random_axes, rows_of
from trainer.pairs import bounds_tuning
from trainer.pairs import candidates as mining_candidates
from trainer.pairs.bounds import Axes, Bounds, Projection
from trainer.pairs.bounds_tuning import choose_projection
from trainer.pairs.candidates import Candidates, Sieve, bar
from trainer.pairs.filters import TooManyError
from trainer.pairs.precision import Precision
from trainer.pairs.similarity import similarity

WIDTHS = (1, 2, 6, 301)
COUNT = 60
COARSE = Precision.BFLOAT16
PROCESSOR = (Precision.FLOAT32, COARSE)  # what a processor may multiply fast


def awkward_rows(seed: int, axes: Axes) -> Floats:
    """Rows that rounding is hard on: inside and outside of the axes, duplicates and opposites, tiny ones and none."""
    draw = np.random.default_rng(seed)
    width = len(axes)
    rows = draw.normal(size=(COUNT, width))
    inside = axes @ axes.T
    rows[:10] = rows[:10] @ inside
    rows[10:20] -= rows[10:20] @ inside
    rows[20:24] = axes[:, 0]
    rows[24:30] = np.eye(width)[draw.integers(width, size=6)]
    rows[30:36] = rows[29] + 1e-4 * rows[30:36]
    rows[36:40] = -rows[:4]
    rows[40:44] = rows[4:8]
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, length, out=np.zeros_like(rows), where=length > 1e-9)
    rows[44:48] *= 10.0 ** -draw.integers(1, 44, size=(4, 1))
    rows[48:50] = 0.0
    rows[50:] = rows[draw.integers(50, size=COUNT - 50)]
    awkward: Floats = rows.astype(np.float32)
    return awkward


def worst_rows(width: int) -> Floats:
    """Unit rows whose rounding to bfloat16 errs one way in every coordinate, so that errors add up.

    A row of equal coordinates just past a tie, as many as make a unit row, and what is left of it in the next.
    """
    rows = []
    for past in (1 + 2.0**-8, 1 + 3 * 2.0**-8, 1.5 + 2.0**-8):
        for hair in (2.0**-18, -(2.0**-18), 0.0):
            for power in range(1, 6):
                value = np.float32((past + hair) * 2.0**-power)
                count = min(width, int(1 / value**2))
                row = np.zeros(width)
                row[:count] = value
                row[count : count + 1] = np.sqrt(max(0.0, 1 - count * float(value) ** 2))
                rows += [row, row[::-1], -row]
    worst: Floats = np.array(rows).astype(np.float32)
    return worst


def candidates_of(bounds: Bounds, threshold: float) -> Candidates:
    """Of all rows, which are a block at most."""
    assert len(bounds.short) <= mining_candidates.BLOCK_ROWS
    return Sieve(bounds, threshold, 2**24).candidates(np.arange(len(bounds.short)))


def expected_lower(bounds: Bounds, found: Candidates) -> Floats:
    """The lowest that the same product allows: nothing is given away."""
    middle = found.upper - np.float32(bounds.slack)
    rest = np.zeros(len(bounds.short), dtype=np.float32) if bounds.rest is None else bounds.rest
    lower: Floats = middle - np.float32(bounds.slack) - 2 * rest[found.source] * rest[found.target]
    return lower


def check(directions: Floats, bounds: Bounds, threshold: float) -> None:
    """Bounds hold for every candidate, and every pair above the threshold is among them, once."""
    count = len(directions)
    found = candidates_of(bounds, threshold)
    exact = similarity(directions, found.source, found.target)
    assert (found.lower <= exact).all()
    assert (exact <= found.upper).all()
    assert (found.source == found.at).all()
    assert found.rows == count
    assert found.upper.dtype == found.lower.dtype == np.float32
    assert found.at.dtype == found.source.dtype == found.target.dtype == np.int32
    np.testing.assert_allclose(found.lower, expected_lower(bounds, found), rtol=0, atol=1e-6)
    left, right = np.divmod(np.arange(count * count), count)
    above = (similarity(directions, left, right) > threshold) & (left != right)
    pairs = found.source * count + found.target
    assert len(np.unique(pairs)) == len(pairs)
    assert (found.source != found.target).all()
    assert not np.setdiff1d((left * count + right)[above], pairs).size


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("width", WIDTHS)
@given(seed=st.integers(0, 2**16), share=st.floats(0, 1), threshold=st.sampled_from([0.02, 0.1, 0.5, 0.9, 0.999999]))
@settings(max_examples=40, deadline=None)
def test_a_similarity_lies_within_its_bounds(
    width: int, precision: Precision, seed: int, share: float, threshold: float
) -> None:
    axes = random_axes(seed, width, max(1, round(share * width)))
    directions = awkward_rows(seed, axes)
    for projection in (Projection.whole(width, precision), Projection(axes, precision)):
        check(directions, bounds_of(directions, projection), threshold)


@pytest.mark.parametrize("threshold", [-0.99, -0.1, 0.0, 1e-9])
def test_of_float32_a_line_may_lie_anywhere(threshold: float) -> None:
    for width in WIDTHS:
        directions = awkward_rows(width, random_axes(width, width, 1))
        for bounds in (Bounds.plain(directions), bounds_of(directions, Projection(random_axes(0, width, 1)))):
            check(directions, bounds, threshold)


@pytest.mark.parametrize("columns", [1, 7, 60])
@pytest.mark.parametrize("precision", Precision)
def test_candidates_are_whole_however_the_columns_are_split(columns: int, precision: Precision) -> None:
    directions = rows_of("wide clusters", 0, COUNT)
    for projection in (Projection.whole(6, precision), Projection(random_axes(1, 6, 2), precision)):
        bounds = bounds_of(directions, projection)
        together = candidates_of(bounds, 0.3)
        with blocks_of(64, columns, 8192):
            check(directions, bounds, 0.3)
            split = candidates_of(bounds, 0.3)
        np.testing.assert_array_equal(split.target // columns, np.sort(split.target // columns))
        for one, two in ((together, split), (split, together)):
            assert set(zip(one.source.tolist(), one.target.tolist(), strict=True)) == set(
                zip(two.source.tolist(), two.target.tolist(), strict=True)
            )
    some = np.array([50, 3, 17])
    with blocks_of(64, columns, 8192):
        found = Sieve(bounds, 0.3, 2**24).candidates(some)
    np.testing.assert_array_equal(some[found.at], found.source)
    assert found.rows == 3
    expected = {(a, b) for a, b in zip(together.source.tolist(), together.target.tolist(), strict=True) if a in some}
    assert set(zip(found.source.tolist(), found.target.tolist(), strict=True)) == expected


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [1, 3, 5])
def test_a_similarity_lies_within_its_bounds_by_principal_axes(kind: str, kept: int, precision: Precision) -> None:
    directions = rows_of(kind, kept, COUNT)
    for stale in (directions, rows_of("sparse", 1, COUNT)):
        check(directions, bounds_of(directions, Projection(principal_axes(stale, kept), precision)), 0.9)


@pytest.mark.parametrize("precision", Precision)
def test_pairs_whose_similarity_is_a_hair_above_the_threshold_survive(precision: Precision) -> None:
    """The threshold just below each pair's similarity: the pair stays, in whatever way its product is rounded."""
    directions = rows_of("wide clusters", 1, COUNT)
    left, right = np.divmod(np.arange(COUNT * COUNT), COUNT)
    exact = similarity(directions, left, right)
    some = np.flatnonzero((exact > 0.1) & (exact < 1) & (left != right))[::31]
    assert len(some) > 30
    for projection in (Projection.whole(6, precision), Projection(random_axes(0, 6, 3), precision)):
        bounds = bounds_of(directions, projection)
        for pair in some:
            found = candidates_of(bounds, float(np.nextafter(exact[pair], 0)))
            assert ((found.source == left[pair]) & (found.target == right[pair])).any()


@pytest.mark.full
@pytest.mark.parametrize("width", [2, 17, 64, 253, 254, 301])
@pytest.mark.parametrize("precision", Precision)
def test_bounds_hold_where_every_rounding_errs_the_same_way(width: int, precision: Precision) -> None:
    directions = worst_rows(width)
    left, right = np.divmod(np.arange(len(directions) ** 2), len(directions))
    exact = similarity(directions, left, right)
    axes = np.eye(width)[:, : max(1, width - 1)]
    for projection in (
        Projection.whole(width, precision),
        Projection(axes, precision),
        Projection(axes[:, :1], precision),
    ):
        bounds = bounds_of(directions, projection)
        with blocks_of(256, 8192, 20_000):
            check(directions, bounds, 0.1)
            for value in np.unique(exact[(exact > 0.1) & (exact < 1)])[::97]:
                check(directions, bounds, float(np.nextafter(value, 0)))


def test_bounds_are_as_tight_as_they_can_be_for_rows_inside_the_axes() -> None:
    for width, (precision, error) in ((w, n) for w in (6, 301) for n in ((Precision.FLOAT32, 1e-4), (COARSE, 0.03))):
        axes = random_axes(width, width, 3)
        rows = np.random.default_rng(0).normal(size=(COUNT, 3)) @ axes.T
        directions = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
        for projection in (Projection.whole(width, precision), Projection(axes, precision)):
            found = candidates_of(bounds_of(directions, projection), 0.1)
            assert (found.upper - found.lower < error).all()


def test_a_short_row_holds_coordinates_and_the_length_of_the_rest() -> None:
    directions = awkward_rows(3, random_axes(1, 6, 2))
    axes = random_axes(2, 6, 4)
    short = Projection(axes).shorten(directions)
    full = directions.astype(np.float64)
    np.testing.assert_allclose(short[:, :-1], full @ axes, atol=1e-7)
    rest = np.linalg.norm(full - full @ axes @ axes.T, axis=1)
    assert (short[:, -1] >= rest).all()
    assert (short[:, -1] <= rest + 2e-6).all()
    assert not short[~directions.any(axis=1)].any()
    assert short.dtype == np.float32

    coarse = Projection(axes, COARSE).shorten(directions)
    assert coarse.dtype == np.uint16
    loaded = COARSE.load(coarse)
    np.testing.assert_array_equal(coarse[:, :-1], COARSE.store(np.ascontiguousarray(short[:, :-1])))
    assert (loaded[:, -1] >= short[:, -1]).all()
    assert (loaded[:, -1] <= short[:, -1] * (1 + 2.0**-7)).all()
    assert not coarse[~directions.any(axis=1)].any()


@pytest.mark.parametrize("precision", Precision)
def test_short_rows_of_a_matrix_are_those_of_its_parts(precision: Precision, monkeypatch: pytest.MonkeyPatch) -> None:
    directions = rows_of("clusters", 0, 100)
    for projection in (Projection(random_axes(0, 6, 2), precision), Projection.whole(6, precision)):
        whole = projection.shorten(directions)
        with monkeypatch.context() as patch:
            patch.setattr("trainer.pairs.bounds._ROWS_AT_A_TIME", 7)
            np.testing.assert_array_equal(projection.shorten(directions), whole)
        np.testing.assert_array_equal(projection.shorten(directions[20:40]), whole[20:40])
        np.testing.assert_array_equal(projection.shorten(directions[[5, 3]]), whole[[5, 3]])
        assert whole.shape == (100, projection.short_width)


def test_axes_of_full_width_leave_nothing_out() -> None:
    directions = rows_of("clusters", 0, 100)
    for axes in (np.eye(6), random_axes(0, 6, 6)):
        for precision in Precision:
            projection = Projection(axes, precision)
            assert not projection.leaves_out
            assert projection.short_width == 6
            bounds = bounds_of(directions, projection)
            np.testing.assert_array_equal(bounds.short, precision.store(directions))
            assert bounds.rest is None
            assert bounds.slack == precision.error(6)
    assert Bounds.plain(directions).short is directions
    assert Bounds.plain(directions).precision is Precision.FLOAT32


@pytest.mark.parametrize("precision", Precision)
def test_bounds_of_short_rows_are_by_as_many_numbers_as_there_are_and_their_first_lead(precision: Precision) -> None:
    directions = rows_of("clusters", 0, 30, 100)
    for kept, leading in ((3, 4), (40, 32)):
        projection = Projection(random_axes(0, 100, kept), precision)
        bounds = bounds_of(directions, projection)
        assert projection.leaves_out
        assert bounds.rest is not None
        assert bounds.slack == precision.error(kept + 1)
        loaded = precision.load(bounds.short)
        np.testing.assert_array_equal(bounds.rest, loaded[:, -1])
        rows = np.array([7, 2, 7])
        np.testing.assert_array_equal(bounds.leading(rows), loaded[rows, :leading])
        assert bounds.leading(rows).dtype == np.float32


@pytest.mark.parametrize("depth", [1, 2, 10, 40])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [1, 4, 6])
@pytest.mark.parametrize("precision", Precision)
def test_as_many_users_as_are_wanted_reach_the_bar(kind: str, depth: int, kept: int, precision: Precision) -> None:
    directions = rows_of(kind, depth, 64)
    bounds = bounds_of(directions, Projection(random_axes(depth, 6, kept), precision))
    with blocks_of(64, 20, 8192):  # the candidates of a row lie apart
        found = candidates_of(bounds, 0.5)
    exact = similarity(directions, found.source, found.target)
    line = bar(found, depth)
    assert len(line) == 64
    count = np.bincount(found.at, minlength=64)
    reaching = np.bincount(found.at[exact >= line[found.at]], minlength=64)
    assert (reaching >= np.minimum(count, depth)).all()
    assert (line[count <= depth] == -np.inf).all()
    assert (line[count > depth] > -np.inf).all()
    # And it is the highest line of which the bounds can tell that.
    for row in np.flatnonzero(count > depth):
        assert (found.lower[found.at == row] >= line[row]).sum() >= depth
        assert (found.lower[found.at == row] > line[row]).sum() < depth


def test_a_block_with_too_many_candidates_is_refused_unless_it_is_one_row() -> None:
    directions = rows_of("duplicates", 0, 500)
    with blocks_of(8, 50, 100):
        sieve = Sieve(Bounds.plain(directions), 0.5, 2**20)
        with pytest.raises(TooManyError):
            sieve.candidates(np.arange(8))
        alive = int(directions.any(axis=1).sum())
        row = np.flatnonzero(directions.any(axis=1))[:1]
        assert len(sieve.candidates(row).target) == alive - 1


def test_a_block_is_refused_for_what_its_fullest_row_takes_of_all_others() -> None:
    """The lists of a block are cut in a table, each row of it as wide as the fullest."""
    rows = np.eye(300, dtype=np.float32)[:, :100]
    rows[100:] = rows[0]  # the first has 200 neighbours, the others of its block have none
    bounds = Bounds.plain(rows)
    for room, refused in ((200 + 8 * 100 - 1, True), (200 + 8 * 100, False)):
        sieve = Sieve(bounds, 0.5, 2**20)
        sieve._room = room
        if refused:
            with pytest.raises(TooManyError):
                sieve.candidates(np.arange(8))
        else:
            assert len(sieve.candidates(np.arange(8)).target) == 200
    for room in (199, 200):  # without a table
        sieve = Sieve(bounds, 0.5, 2**20, tables=False)
        sieve._room = room
        if room < 200:
            with pytest.raises(TooManyError):
                sieve.candidates(np.arange(8))
        else:
            assert len(sieve.candidates(np.arange(8)).target) == 200


OFFERED = [None, (Precision.FLOAT32,), (COARSE,), PROCESSOR]


@pytest.mark.parametrize("cap", [None, 1, 10])
@pytest.mark.parametrize("precisions", OFFERED)
def test_few_axes_are_chosen_where_users_vary_along_few_directions(
    cap: int | None, precisions: tuple[Precision, ...] | None
) -> None:
    rows = low_rank(1, 3000, 100, 5)
    projection = choose_projection(rows, np.arange(3000), 0.8, cap, precisions)
    axes = projection.axes
    assert axes.shape[0] == 100
    assert axes.shape[1] <= 48
    assert projection.leaves_out
    assert precisions is None or projection.precision in precisions
    np.testing.assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-12)
    again = choose_projection(rows, np.arange(3000), 0.8, cap, precisions)
    np.testing.assert_array_equal(axes, again.axes)
    assert projection.precision is again.precision


def test_the_axes_chosen_are_principal() -> None:
    rows = low_rank(2, 3000, 100, 5)
    axes = choose_projection(rows, np.arange(3000), 0.8, None, (Precision.FLOAT32,)).axes
    assert axes.shape[1] <= 24
    full = rows.astype(np.float64)
    kept = ((full @ axes) ** 2).sum() / (full**2).sum()
    best = ((full @ principal_axes(rows, axes.shape[1])) ** 2).sum() / (full**2).sum()
    assert kept == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("cap", [None, 10])
def test_nothing_is_left_out_where_users_vary_along_all_directions_and_coarse_numbers_win(cap: int | None) -> None:
    rows = rows_of("sparse", 1, 3000, 100)
    for precisions in OFFERED[1:]:
        assert precisions is not None
        projection = choose_projection(rows, np.arange(3000), 0.3, cap, precisions)
        assert projection.axes.shape == (100, 100)
        assert projection.precision is precisions[-1]


def test_fine_numbers_are_chosen_where_coarse_ones_cannot_tell_users_apart() -> None:
    """Everybody lies within the error of coarse precision, half on either side of the line."""
    draw = np.random.default_rng(0)
    rows = np.zeros((2000, 60), dtype=np.float32)
    rows[:, 0] = 1
    rows[:, 1:] = draw.normal(size=(2000, 59)) * 0.05 / np.sqrt(59)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    projection = choose_projection(rows, np.arange(2000), 1 - 0.05**2, None, PROCESSOR)
    assert projection.precision is Precision.FLOAT32
    assert choose_projection(rows, np.arange(2000), 0.8, None, PROCESSOR).precision is COARSE


def test_coarse_numbers_are_not_chosen_for_a_threshold_below_their_error() -> None:
    rows = rows_of("sparse", 1, 500, 20)
    error = COARSE.error(20)
    for threshold, precision in ((error / 2, Precision.FLOAT32), (error, Precision.FLOAT32), (0.7, COARSE)):
        assert choose_projection(rows, np.arange(500), threshold, None, PROCESSOR).precision is precision


def test_what_this_machine_is_fast_with_is_chosen_from_unless_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of("sparse", 1, 500, 20)
    for precisions in OFFERED[1:]:
        assert precisions is not None
        monkeypatch.setattr(bounds_tuning, "fast_precisions", lambda precisions=precisions: precisions)
        for said in OFFERED:
            chosen = choose_projection(rows, np.arange(500), 0.7, None, said)
            assert chosen.precision is (said or precisions)[-1]


def test_a_projection_for_nobody_and_for_nobody_with_a_direction() -> None:
    none = np.zeros((10, 12), dtype=np.float32)
    assert choose_projection(none, np.arange(0), 0.8, None).axes.shape == (12, 12)
    assert len(choose_projection(none, np.arange(10), 0.8, 5).axes) == 12
    assert len(choose_projection(np.eye(12, dtype=np.float32)[:1], np.arange(1), 0.8, 5).axes) == 12


@pytest.mark.parametrize("cap", [None, 1000, 3000])
def test_with_a_cap_that_nobody_reaches_the_threshold_says_what_is_left_open(cap: int | None) -> None:
    rows = rows_of("sparse", 1, 3000, 100)
    assert 32 <= choose_projection(rows, np.arange(3000), 0.8, cap, (Precision.FLOAT32,)).axes.shape[1] <= 64


def test_only_those_who_are_there_are_asked() -> None:
    """The rows of nobody are none of the sample: zero rows would make any projection look cheap."""
    rows = np.concatenate([rows_of("sparse", 1, 2000, 100), np.zeros((20_000, 100), dtype=np.float32)])
    there = np.flatnonzero(rows.any(axis=1))
    projection = choose_projection(rows, there, 0.6, None, (Precision.FLOAT32,))
    again = choose_projection(rows[there], np.arange(len(there)), 0.6, None, (Precision.FLOAT32,))
    np.testing.assert_array_equal(projection.axes, again.axes)
