"""The error that bounds of TF32 have is never exceeded by a tensor core, which is emulated here bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stores.feature_store import Floats
from tests.models.pairs.tensor_core import CARDS, Doubles, multiply
from tests.models.pairs.test_precision import WIDTHS, adversarial, nearest, unit
from trainer.pairs.precision import Precision

TENSOR = Precision.TF32


def exact(rows: Floats) -> Doubles:
    found: Doubles = rows.astype(np.float64) @ rows.T.astype(np.float64)
    return found


def rounding(width: int) -> float:
    """The error of a sum in which each addition is rounded, which a tensor core's may exceed."""
    return 1.01 * (width + 4) * 2.0**-24


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_product_of_a_tensor_core_is_further_off_than_the_error(width: int, card: str) -> None:
    rows = adversarial(width)[::5]
    stored = TENSOR.store(rows)
    np.testing.assert_array_equal(stored, nearest(rows, 11))
    for splits in (1, 3):
        found = multiply(stored, stored, *CARDS[card], splits=splits)
        assert np.abs(found - exact(rows)).max() <= TENSOR.error(width)
        assert np.abs(found - exact(stored)).max() <= 4 * rounding(width)


@given(
    seed=st.integers(0, 2**16),
    width=st.sampled_from(WIDTHS),
    scale=st.sampled_from([0.0, 1.0, 8.0]),
    block=st.integers(1, 40),
    more_bits=st.integers(0, 3),
    splits=st.integers(1, 4),
)
@settings(max_examples=100, deadline=None)
def test_no_product_of_any_rows_is_further_off_however_a_core_adds_up(
    seed: int, width: int, scale: float, block: int, more_bits: int, splits: int
) -> None:
    draw = np.random.default_rng(seed)
    rows = unit(draw.normal(size=(12, width)) * np.exp(scale * draw.normal(size=(12, width))))
    stored = TENSOR.store(rows)
    found = multiply(stored, stored, block, more_bits, splits=splits)
    assert np.abs(found - exact(rows)).max() <= TENSOR.error(width)


def test_a_tensor_core_errs_more_than_rounding_does() -> None:
    """Eight addends that are each a hair too small to be kept beside a sum of 1: rounding would keep them."""
    small = np.float32((1 - 2.0**-10) * 2.0**-11.5)
    rows = np.full((1, 9), TENSOR.store(np.array([small]))[0], dtype=np.float32)
    rows[0, 0] = 1.0
    off = abs(float(multiply(rows, rows, 4, 0)[0, 0] - exact(rows)[0, 0]))
    assert rounding(9) < off < 4 * rounding(9)
    assert off < TENSOR.error(9)


def test_without_the_rounding_of_rows_the_error_would_be_too_small() -> None:
    """Rows that all lie halfway between two numbers of TF32: either factor errs by half a step, the same way."""
    row = np.full((1, 100), (1 + 2.0**-11 + 2.0**-20) * 2.0**-4, dtype=np.float32)
    off = abs(float(multiply(TENSOR.store(row), TENSOR.store(row), 4, 1)[0, 0] - exact(row)[0, 0]))
    norm = float(exact(row)[0, 0])
    assert norm < 1
    assert 1.9 * 2.0**-11 * norm < off < TENSOR.error(100)
