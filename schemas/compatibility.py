"""Whether queries of a version may meet vectors of an earlier one (P10)."""

from __future__ import annotations

from schemas.base import Frozen


class CompatibilityReport(Frozen):
    """How well queries of a version find their users among the candidate vectors of an earlier version.

    Both recalls are of the held-out users, at 10, among everybody.
    """

    version: int
    """The earlier version."""
    recall: float
    """Of this version's queries among the earlier version's vectors."""
    own_recall: float
    """Of the earlier version's queries among its own vectors."""
    kept: float
    """`recall` over `own_recall`."""
    compatible: bool
    """Whether `kept` is at least the limit."""
    limit: float
    towers_changed: bool = True
    """Whether a tower differs from the earlier version's; where none does, every vector stays good."""
