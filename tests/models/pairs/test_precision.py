"""The precision of bounds: rounded to nearest or up, a line that loses nothing, and an error that is never exceeded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stores.feature_store import Floats
from trainer.pairs.precision import Precision

FINE, TENSOR, COARSE = Precision.FLOAT32, Precision.TF32, Precision.BFLOAT16
WIDTHS = (1, 2, 3, 6, 16, 17, 64, 100, 253, 254, 301)
TIE = 2.0**-8  # from a number of bfloat16 in [1, 2) to halfway to the next

floats = st.floats(-2.0, 2.0, width=32)
positive = st.floats(2.0**-100, 1.5, width=32)


def coarse(*values: float) -> Floats:
    """The nearest numbers of bfloat16, as TensorFlow has them."""
    rounded: Floats = tf.cast(tf.constant(values, tf.float32), tf.bfloat16).numpy().astype(np.float32)
    return rounded


def nearest(values: NDArray[Any], digits: int) -> NDArray[np.float64]:
    """Numbers of so many binary digits, to nearest, ties to even: by their mantissa, not by their bits."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    found: NDArray[np.float64] = np.ldexp(np.round(np.ldexp(mantissa, digits)), exponent - digits)
    return found


DIGITS = {FINE: 24, TENSOR: 11, COARSE: 8}


@pytest.mark.parametrize("precision", Precision)
@given(values=st.lists(floats, min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_numbers_are_stored_with_as_many_digits_as_the_format_has(precision: Precision, values: list[float]) -> None:
    given = np.array(values, dtype=np.float32)
    given[np.abs(given) < 2.0**-126] = 0.0  # smaller ones have fewer digits
    found = precision.load(precision.store(given)).astype(np.float64)
    np.testing.assert_array_equal(found, nearest(given, DIGITS[precision]))
    assert (np.abs(found - given) <= precision.roundoff * np.abs(given)).all()
    up = precision.load(precision.store_up(np.abs(given)))
    assert (up >= np.abs(given)).all()
    assert (up <= np.abs(given) * (1 + 2 * precision.roundoff)).all()
    np.testing.assert_array_equal(precision.load(precision.store_up(up)), up)
    assert precision.store(given).dtype == precision.dtype


def test_a_tensor_core_may_cut_off_what_it_does_not_take_and_loses_nothing() -> None:
    """Whatever a card does with the 13 bits that TF32 lacks: they are zero."""
    rows = unit(np.random.default_rng(0).normal(size=(50, 100)))
    assert not (TENSOR.store(rows).view(np.uint32) & 0x1FFF).any()
    assert (rows.view(np.uint32) & 0x1FFF).any()


@given(st.lists(floats, min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_numbers_are_stored_to_the_nearest(values: list[float]) -> None:
    given = np.array(values, dtype=np.float32)
    stored = COARSE.store(given)
    assert stored.dtype == np.uint16
    found = COARSE.load(stored)
    assert found.dtype == np.float32
    normal = (np.abs(given) >= 2.0**-126) | (given == 0)  # TensorFlow may flush smaller ones
    np.testing.assert_array_equal(found[normal], coarse(*given)[normal])
    for one, at in zip(given.astype(np.float64), stored.tolist(), strict=True):
        around = [other for other in (at - 1, at, at + 1) if 0 <= other & 0x7FFF <= 0x7F80 and 0 <= other < 2**16]
        near = np.abs(COARSE.load(np.array(around, dtype=np.uint16)).astype(np.float64) - one)
        assert near[around.index(at)] == near.min()
        if (near == near.min()).sum() > 1 and at & 0x7FFF:
            assert at % 2 == 0
    assert FINE.store(given) is given
    assert FINE.load(given) is given


def test_ties_go_to_even_and_a_hair_past_them_to_the_nearest() -> None:
    for start, tie in ((1.0, 1.0), (1 + 2 * TIE, 1 + 4 * TIE), (2 - 2 * TIE, 2.0), (0.5, 0.5), (2.0**-60, 2.0**-60)):
        step = TIE * 2.0 ** np.floor(np.log2(start))
        halfway = np.float32(start + step)
        for sign in (1, -1):
            for value, expected in (
                (halfway, tie),
                (np.nextafter(halfway, np.float32(9)), start + 2 * step),
                (np.nextafter(halfway, np.float32(0)), start),
            ):
                assert COARSE.load(COARSE.store(np.array([sign * value]))).tolist() == [sign * expected]


@given(st.lists(st.floats(0, 2, width=32), min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_numbers_rounded_up_are_the_least_that_are_not_below(values: list[float]) -> None:
    given = np.abs(np.array(values, dtype=np.float32))
    stored = COARSE.store_up(given)
    assert stored.dtype == np.uint16
    assert (COARSE.load(stored) >= given).all()
    assert (COARSE.load(stored - np.uint16(1))[given > 0] < given[given > 0]).all()
    assert not stored[given == 0].any()
    assert FINE.store_up(given) is given


def above(precision: Precision, products: Floats, value: float) -> NDArray[np.bool_]:
    """Which of `products`, in the form that `precision.product` gives them in, are above the line."""
    form: NDArray[Any] = precision.store(products).view(np.int16) if precision is COARSE else products
    compared: NDArray[np.bool_] = form > precision.line(value)
    return compared


@pytest.mark.parametrize("precision", Precision)
@given(value=st.one_of(positive, st.floats(1e-9, 1.0)), steps=st.integers(0, 3), others=st.lists(floats, max_size=20))
@settings(max_examples=300, deadline=None)
def test_what_is_above_a_value_is_above_its_line_and_what_is_well_below_is_not(
    precision: Precision, value: float, steps: int, others: list[float]
) -> None:
    step = np.float32(value)
    near = [step]
    for _ in range(steps + 1):
        near += [np.nextafter(near[-1], np.float32(9)), np.nextafter(near[0], np.float32(0))]
    grid = COARSE.store(np.array([step]))[0] + np.arange(-3, 4)
    near += COARSE.load(grid.astype(np.uint16)).tolist()
    given = np.array([*near, *others, 0.0, -0.0, -value, -1.0], dtype=np.float32)
    products = precision.load(precision.store(given))  # as they come out of a product
    found = above(precision, products, value)
    assert found[products.astype(np.float64) > value].all()
    loose = 2.0**-6 if precision is COARSE else 2.0**-22
    assert not found[products < value * (1 - loose)].any()
    assert not found[products <= 0].any()


@pytest.mark.parametrize("precision", Precision)
def test_lines_near_powers_of_two(precision: Precision) -> None:
    """Where numbers lie closer on one side than on the other, and where float32 rounds a value up to one of them."""
    for power in range(-12, 1):
        for exact in (2.0**power, 2.0**power * (1 + 2 * TIE), 2.0**power * (1 - TIE)):
            for off in (0.0, 1e-17, 1e-12, 2.0**-25, 2.0**-24, 2.0**-9, TIE):
                for value in (exact * (1 - off), exact * (1 + off)):
                    products = COARSE.load(
                        COARSE.store(np.array([exact], dtype=np.float32))
                        + np.arange(3).astype(np.uint16)
                        - np.uint16(1)
                    )
                    found = above(precision, products, value)
                    assert found[products.astype(np.float64) > value].all()
                    assert not found[products < value * (1 - 2.0**-6)].any()


@pytest.mark.parametrize("value", [0.0, -1e-9, -0.01, -0.5, -1.0])
def test_of_float32_a_line_may_lie_below_zero(value: float) -> None:
    near = np.float32(value) + np.linspace(-1e-3, 1e-3, 2001, dtype=np.float32)
    products = np.concatenate([near, [np.nextafter(np.float32(value), np.float32(1)), np.float32(value)]])
    found = above(FINE, products, value)
    assert found[products.astype(np.float64) > value].all()
    assert not found[products < value - 1e-6].any()


def product(precision: Precision, left: Floats, right: Floats) -> Floats:
    out = np.empty((len(left), len(right)), dtype=np.float32)
    found = precision.product(precision.store(left), precision.store(right), out)
    assert found.dtype == (np.int16 if precision is COARSE else np.float32)
    assert found.shape == out.shape
    read = precision.read(found)
    assert read.dtype == np.float32
    return read


def unit(rows: NDArray[Any]) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    made: Floats = np.divide(rows, length, out=np.zeros(rows.shape), where=length > 0).astype(np.float32)
    return made


def filled(width: int, value: float, last: float = 0.0) -> Floats:
    """As many coordinates of one value as make a row of length 1 at most, and the last one to fit."""
    row = np.zeros(width, dtype=np.float32)
    count = min(width, int(1 / value**2))
    row[:count] = value
    if count < width:
        row[count] = min(last, np.sqrt(max(0.0, 1 - count * value**2)))
    return row


def adversarial(width: int) -> Floats:
    """Rows of length 1 at most that products are worst for."""
    draw = np.random.default_rng(width)
    one_large = np.full((8, width), 1e-3) * draw.normal(size=(8, width))
    one_large[np.arange(8), draw.integers(width, size=8)] = 1.0
    past = [
        filled(width, (start + TIE + hair) * 2.0**-power, last)
        for start in (1.0, 1 + 4 * TIE, 1.5)
        for hair in (2.0**-20, 0.0, -(2.0**-20))
        for power in range(1, 6)
        for last in (0.0, 1.0, 0.0113)
    ]
    rows = [
        unit(draw.normal(size=(40, width))),
        unit(draw.normal(size=(40, width)) * draw.random(width) ** 8),
        unit(one_large),
        np.array(past, dtype=np.float32),
        unit(np.ones((1, width))),
        unit(np.eye(width)[: min(width, 5)] + 2.0**-9),
        unit(draw.normal(size=(4, width))) * np.float32(1e-20),
        np.zeros((1, width), dtype=np.float32),
    ]
    made = np.concatenate(rows)
    again: Floats = np.concatenate([made, made[::3], -made[::4], made[::5, ::-1]]).astype(np.float32)
    return again


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_product_is_further_off_than_the_error(width: int, precision: Precision) -> None:
    rows = adversarial(width)
    assert (np.linalg.norm(rows.astype(np.float64), axis=1) < 1 + 1e-6).all()
    found = product(precision, rows, rows)
    assert np.isfinite(found).all()
    off = np.abs(found - rows.astype(np.float64) @ rows.T.astype(np.float64)).max()
    assert off <= precision.error(width)
    np.testing.assert_array_equal(product(precision, rows[:1], rows[:3]).shape, (1, 3))


def test_the_error_is_as_small_as_it_can_be_said_to_be() -> None:
    """Three roundings that err the same way: of either row, and of a result just past a tie of its own.

    By hand, as machines sum up in orders of their own, which may end before the tie.
    """
    row = np.full((1, 254), (1 + TIE + 2.0**-20) * 2.0**-4, dtype=np.float32)
    row[0, -1] = 0.0113
    true = float(row.astype(np.float64)[0] @ row.astype(np.float64)[0])
    rounded = coarse(*row[0]).astype(np.float64)
    off = float(coarse(float(rounded @ rounded))[0]) - true
    assert COARSE.error(254) * 0.95 < off < COARSE.error(254)
    assert abs(product(COARSE, row, row)[0, 0] - true) < COARSE.error(254)
    for width in WIDTHS:
        assert 0 < FINE.error(width) < 3e-5
        assert FINE.error(width) < TENSOR.error(width) < COARSE.error(width) < 0.0125
        assert TENSOR.error(width) < 0.0012
    assert FINE.error(301) > FINE.error(300) >= 300 * 2.0**-24


@given(seed=st.integers(0, 2**16), width=st.sampled_from(WIDTHS), scale=st.sampled_from([0.0, 1.0, 8.0]))
@settings(max_examples=60, deadline=None)
def test_no_product_of_any_rows_is_further_off_than_the_error(seed: int, width: int, scale: float) -> None:
    draw = np.random.default_rng(seed)
    rows = unit(draw.normal(size=(30, width)) * np.exp(scale * draw.normal(size=(30, width))))
    exact = rows.astype(np.float64) @ rows.T.astype(np.float64)
    for precision in Precision:
        assert np.abs(product(precision, rows, rows) - exact).max() <= precision.error(width)


def test_as_they_are_kept_coarse_numbers_are_half_as_large() -> None:
    assert [precision.dtype.itemsize for precision in (FINE, TENSOR, COARSE)] == [4, 4, 2]
    assert FINE.price == 1 > COARSE.price > TENSOR.price
    assert [Precision(name) for name in ("float32", "tf32", "bfloat16")] == [FINE, TENSOR, COARSE]
