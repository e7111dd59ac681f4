"""Whether queries of a version may meet vectors of an earlier one (P10)."""

from __future__ import annotations

from typing import Literal

from schemas.base import Frozen


class CompatibilityReport(Frozen):
    """How well queries of a version find their users among the candidate vectors of an earlier version.

    Both recalls are of the held-out users, among everybody.
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
    """The setting `RETRAINER_GATE__COMPATIBLE_RECALL` of then."""
    towers_changed: bool = True
    """Whether a tower differs from the earlier version's; where none does, every vector stays good."""
    figure: Literal["recall_at_10", "recall_at_50"] = "recall_at_10"
    """Which recall: at 10 by the input cosine, or at 50 of held-out labels, where outcomes judge."""

    @property
    def summary(self) -> str:
        """The same in one sentence, without a full stop."""
        if not self.towers_changed:
            return f"the towers are those of version {self.version}, so all of its vectors stay good"
        recall = self.figure.replace("_at_", "@")
        told = (
            f"queries of this version keep {self.kept:.1%} of version {self.version}'s {recall} among its vectors "
            f"({self.recall:.4f} of {self.own_recall:.4f})"
        )
        if self.compatible:
            return f"{told}, so its index may be used until the new one is there"
        return f"{told}, less than {self.limit:.0%}: its index must not be asked with them"
