"""The verdict on a version trained again."""

from __future__ import annotations

import pytest

from schemas.jobs.reproduction import TowerDistance
from trainer.reproduction.verdict import verdict


def towers(weights: float, rotated: float) -> list[TowerDistance]:
    return [
        TowerDistance(cosine=0.5, rotated=1.0, weights=0.0),
        TowerDistance(cosine=0.5, rotated=rotated, weights=weights),
    ]


def test_the_same_bits_are_exact() -> None:
    assert verdict(True, 1.0, towers(0.0, 1.0), ["later rows"]).startswith("reproduced exactly")


def test_a_difference_of_sums_is_rounding() -> None:
    assert verdict(False, 0.9999, towers(2e-6, 1.0), []) == (
        "reproduced up to rounding: the weights differ by 2.0e-06 of their length, and they agree on 100.0% of the "
        "pairs that either calls similar"
    )


@pytest.mark.full
def test_the_worse_tower_counts_and_notes_are_pointed_at() -> None:
    assert verdict(False, 0.97, towers(0.3, 0.98), ["later rows"]) == (
        "reproduced closely: they agree on 97.0% of the pairs that either calls similar, and after the best rotation "
        "the mean cosine is 0.9800; not all inputs are as they were, see the notes"
    )
    assert verdict(False, 0.5, towers(0.3, 0.7), []).startswith("not reproduced: they agree on 50.0%")
