"""The guard: what is measured of the data before anything is learned from them, and beyond which limits they are held.

A limit stands in the environment as `RETRAINER_GUARD__REFUSED_SHARE=0.2`, and one cycle may go on beyond it by
`retrainer train --accept REFUSED_SHARE`, which is on record.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from schemas.base import Frozen, Policy

Share = Annotated[float, Field(ge=0, le=1)]


class GuardName(StrEnum):
    """What is measured; each is a field of `GuardPolicy` that limits it."""

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


class GuardPolicy(Policy):
    """Limits: a figure above one of them holds the cycle. 1 switches a share off.

    Before: when a cycle was last settled. What is a figure of users read or sampled holds only where the share is
    certainly above the limit, its one-sided Wilson bound at 99 % being so. docs/guard.md tells each figure.
    """

    refused_share: Share = 0.1
    """Of the users read, those whose rows were unsound."""
    deleted_share: Share = 0.3
    """Of the users known before, those that the cycle found deleted."""
    lost_share: Share = 0.3
    """Of the users known before, those that are there no more after the cycle, deleted, refused or absent."""
    lost_pairs: Share = 0.5
    """Of the similar pairs before, those that are gone without making place for others: 1 - after / before."""
    similar_share: Share = 0.5
    """Of all pairs, those that are similar; nobody similar to anybody is held as well."""
    mean_z: Annotated[float, Field(gt=0)] = 3.0
    """How far, in standard deviations of the frozen scaling, the mean of a scalar column over all users has moved."""
    drifting_z: Annotated[float, Field(gt=0)] = 0.5
    """The same, from where on a full retrain is asked for, before the column swallows the row."""
    drifting_labels: Share = 0.02
    """1 - Jaccard index of the similar pairs by the frozen and by today's scaling, from where on a full retrain is
    asked for. Labels that move fall about half on either side, so precision and recall by today's lose 0.01 each."""
    outlier_share: Share = 0.05
    """Of the users read, those with a scalar so far out that it is clipped."""
    outside_energy: Share = 0.5
    """Of the squared length of all users, what lies outside the axes of those whom the model started from, beyond what
    did before."""
    moved_share: Share = 0.2
    """Of a sample of users whom nobody claimed, those whose row in the store is another than the one known."""
    labels_moved: Share = 0.95
    """1 - Jaccard index of the similar pairs by the new and the champion's scaling, where a cycle scales anew. A column
    that has drifted by a standard deviation moves half of them, and a full retrain is right to."""
    refused_labels: Share = 0.1
    """Of the pair labels read, those whose rows were unsound."""
    lost_labels: Share = 0.3
    """Of the pair labels known before, those that are there no more after the cycle, deleted, refused or absent."""
    sample: Annotated[int, Field(ge=0)] = 256
    """Unclaimed users who are read again to see whether somebody moved them; 0 reads none."""
    min_users: Annotated[int, Field(ge=1)] = 30
    """Shares of fewer users than so many hold nothing."""


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
