"""What is remembered is the answer to the same question, and to no other."""

from __future__ import annotations

import numpy as np
import pytest

from stores.feature_store import Floats
from trainer.matrix.remembered import Remembered


def test_the_same_matrix_and_rows_are_embedded_once_and_others_are_not_taken_for_them() -> None:
    kept, asked = Remembered(), []

    def made() -> Floats:
        asked.append(1)
        return np.full((4, 2), len(asked), np.float32)

    raw, rows = np.zeros((4, 3), np.float32), np.arange(3)
    first = kept.candidates(raw, rows, made)
    assert kept.candidates(raw, rows.copy(), made) is first
    assert kept.candidates(raw, np.arange(1, 4), made)[0, 0] == 2
    assert kept.candidates(raw.copy(), np.arange(1, 4), made)[0, 0] == 3
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 9


def test_rows_that_are_changed_afterwards_are_others() -> None:
    kept, raw, rows = Remembered(), np.zeros((4, 3), np.float32), np.arange(3)
    first = kept.candidates(raw, rows, lambda: np.zeros((4, 2), np.float32))
    rows[0] = 3
    assert kept.candidates(raw, rows, lambda: np.ones((4, 2), np.float32)) is not first
