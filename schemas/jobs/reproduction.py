"""A version that is trained again: what its cycle had claimed, what is asked for, and how close it came."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from schemas.base import Frozen
from schemas.cycle import CycleKind, FitReport, Metrics, TrainerSettings
from schemas.guard import GuardName
from schemas.labels import PairKey


class Claimed(Frozen):
    """What a cycle had claimed, and nothing else of its request is told by the manifest."""

    users: tuple[str, ...]
    labels: tuple[PairKey, ...] = ()
    recently_learned_users: tuple[str, ...] = ()
    recently_learned_labels: tuple[PairKey, ...] = ()
    accept: tuple[GuardName, ...] = ()
    """Limits of the guard that were waived."""


class ReproductionRequest(Frozen):
    """Which version is trained again, and by what."""

    version: int
    settings: TrainerSettings
    """Where stores and registry are today, and where to work. How is learned comes from the version."""
    claimed: Claimed | None = None
    """What the cycle had claimed, for a version that does not tell it."""
    as_of: AwareDatetime | None = None
    """When the cycle ran: a store that keeps history is read as it was then."""


class TowerDistance(Frozen):
    """One tower of the version beside that of the version trained again."""

    cosine: float
    """Mean over users of the cosine of the two embeddings; 1 where they are the same."""
    rotated: float
    """The same after the rotation that brings them nearest to each other (orthogonal Procrustes, Schönemann 1966): what
    is left is not the choice of axes, which means nothing."""
    weights: float
    """Distance of the weights, as a share of their length; 0 where they are the same."""


class Reproduction(Frozen):
    """How close a version trained again came to the version."""

    version: int
    cycle_id: str
    kind: CycleKind
    identical: bool
    """Whether all weights are the same, bit for bit."""
    users: Annotated[int, Field(ge=0)]
    """Users whose embeddings are compared."""
    pairs: Annotated[int, Field(ge=0)]
    """Pairs (held-out user, anybody) of whom both are asked whether they are similar."""
    called: Annotated[int, Field(ge=0)]
    """Pairs of these that at least one of the two calls similar."""
    agreement: float
    """Share of `called` that both call similar; 1 where neither calls any so."""
    query: TowerDistance
    candidate: TowerDistance
    recorded: Metrics
    """The figures of the version when it was registered, on the rows of then."""
    original: Metrics
    """Those of the version now, on the rows that were read now, as the one that follows."""
    again: Metrics
    fit: FitReport
    """How the fit went this time."""
    recorded_fit: FitReport
    packages: dict[str, tuple[str | None, str | None]] = {}
    """Packages whose version differs: that of then, that of now."""
    rows_as_of: AwareDatetime | None = None
    """The store was read as it was at this time; None: today's rows."""
    notes: tuple[str, ...] = ()
    """What could not be had as it was."""
    verdict: str
    """How close it came, in a sentence."""
