"""The guard: what is measured of the data before anything is learned from them, and beyond which limits they are held.

A limit stands in the environment as `RETRAINER_GUARD__REFUSED_SHARE=0.2`, and one cycle may go on beyond it by
`retrainer train --accept REFUSED_SHARE`, which is on record.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Frozen

Share = Annotated[float, Field(ge=0, le=1)]


class GuardName(StrEnum):
    """What is measured; each is a field of `schemas.policies.GuardPolicy` that limits it."""

    REFUSED_SHARE = "refused_share"
    DELETED_SHARE = "deleted_share"
    LOST_SHARE = "lost_share"
    LOST_PAIRS = "lost_pairs"
    SIMILAR_SHARE = "similar_share"
    MEAN_Z = "mean_z"
    OUTLIER_SHARE = "outlier_share"
    OUTSIDE_ENERGY = "outside_energy"
    MOVED_SHARE = "moved_share"
    LABELS_MOVED = "labels_moved"
    REFUSED_LABELS = "refused_labels"
    LOST_LABELS = "lost_labels"


class Finding(Frozen):
    """One figure beside its limit."""

    name: GuardName
    figure: float
    limit: float
    of: int
    """How many users or pairs it is a figure of."""
    detail: str | None = None
    """Which column, which reason, which users."""
    exceeded: bool
    accepted: bool = False
    """An operator waived the limit for this cycle."""


class GuardReport(Frozen):
    """What the guard saw, each figure once where it could be measured."""

    findings: tuple[Finding, ...]
    asks_full: str | None = None
    """Why a full retrain is asked for, where the data are sound and yet move away from the frozen scaling."""

    @property
    def holding(self) -> tuple[Finding, ...]:
        """Those for which the cycle is held."""
        return tuple(one for one in self.findings if one.exceeded and not one.accepted)
