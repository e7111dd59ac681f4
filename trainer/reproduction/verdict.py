"""How close a version trained again came, in a sentence: a pure function of the distances."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.jobs.reproduction import TowerDistance

ROUNDING = 1e-4
"""Weights that differ by less, as a share of their length, differ by the order of sums."""
CLOSE = 0.95
"""Agreement from which on the two may stand for each other; two fits of other seeds rarely come so far."""


def verdict(identical: bool, agreement: float, towers: Sequence[TowerDistance], notes: Sequence[str]) -> str:
    """The sentence.

    Args:
        identical: whether all weights are the same, bit for bit.
        agreement: share of the pairs that either calls similar on which both agree.
        towers: the distance of each tower.
        notes: what could not be had as it was.
    """
    nearest = min(tower.rotated for tower in towers)
    apart = max(tower.weights for tower in towers)
    figures = f"they agree on {agreement:.1%} of the pairs that either calls similar"
    if identical:
        return "reproduced exactly: all weights are the same, bit for bit"
    if apart < ROUNDING:
        return f"reproduced up to rounding: the weights differ by {apart:.1e} of their length, and {figures}"
    because = "" if not notes else "; not all inputs are as they were, see the notes"
    if agreement >= CLOSE:
        return f"reproduced closely: {figures}, and after the best rotation the mean cosine is {nearest:.4f}{because}"
    return f"not reproduced: {figures}, and after the best rotation the mean cosine is {nearest:.4f}{because}"
