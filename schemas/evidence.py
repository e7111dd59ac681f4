"""What a trainer keeps of a cycle, so that a report of it can be drawn at any time, without the data and the models.

Everything is a figure that the cycle has computed anyway. A cycle that ended early has what it had by then.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from schemas.base import Frozen
from schemas.cycle import CycleKind, CycleResult, Lineage, Slice
from schemas.reports import VersionFigures

ModelName = Literal["challenger", "champion"]


class Curve(Frozen):
    """Points of a curve, in order."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Histogram(Frozen):
    """How many sampled pairs have which cosine, by label, in equal bins."""

    low: float
    """The lower end of the first bin."""
    high: float
    """The upper end of the last."""
    similar: tuple[int, ...]
    dissimilar: tuple[int, ...]


class CalibrationBin(Frozen):
    """Pairs of like probability."""

    low: float
    high: float
    pairs: float
    """How many, or their weight."""
    gap: float
    """Their mean probability less the share of them that is similar."""


class ModelEvidence(Frozen):
    """How one model answered the exam."""

    histogram: Histogram
    """Of the sampled pairs."""
    roc: Curve | None = None
    """Share of dissimilar (x) and of similar (y) sampled pairs above each probability; None with one label only."""
    precision_recall: Curve | None = None
    """Recall (x) and precision (y) over all pairs, by bins of the ranking; None with one label only."""
    calibration: tuple[CalibrationBin, ...] = ()
    """Of all pairs that are given a probability of a tenth or more."""
    outcome_roc: Curve | None = None
    """Of held-out labels: share of strangers (x) and of positive labels (y) above each cosine; None without labels."""
    outcome_calibration: tuple[CalibrationBin, ...] = ()


class Interval(Frozen):
    """One figure of one model over one slice, with a bootstrap interval over its users."""

    model: ModelName
    slice: Slice | None
    """None for all held-out users."""
    figure: str
    """A field of `schemas.cycle.Metrics`."""
    users: int
    value: float
    low: float
    """The 2.5 % quantile of the figure over the draws."""
    high: float
    """The 97.5 % quantile."""


class Neighbour(Frozen):
    """One of the nearest users of a user."""

    user: str
    cosine: float
    """By the model."""
    features: float
    """Cosine of the two users' scaled features, by which they are similar or not."""


class Neighbourhood(Frozen):
    """The nearest of one held-out user by champion and challenger, both on today's features."""

    user: str
    claimed: bool
    """Whether the cycle was to learn a change of this user."""
    kept: int
    """How many are among the nearest by both."""
    before: tuple[Neighbour, ...] = ()
    """By the champion, the nearest first; empty without a champion."""
    after: tuple[Neighbour, ...] = ()
    """By the challenger; empty without one."""


class EpochFigures(Frozen):
    """The figures of one epoch."""

    number: int
    """Through all fits of the cycle, from 1."""
    fit: int
    """Which fit: 1 from the weights that the cycle began with, 2 from a restart on today's axes."""
    loss: float
    train_accuracy: float
    dev_accuracy: float | None = None
    dev_recall: float | None = None
    dev_auc: float | None = None
    dev_recall_at_50: float | None = None


class Evidence(Frozen):
    """Everything that the report of a cycle shows."""

    schema_release: Literal[1] = 1
    model_name: str
    cycle_id: str
    kind: CycleKind
    reason: str
    """Why the cycle started."""
    written_at: AwareDatetime
    lineage: Lineage
    threshold: Annotated[float, Field(ge=-1, le=1)]
    """Cosine of features above which two users are similar."""
    result: CycleResult
    epochs: tuple[EpochFigures, ...] = ()
    models: dict[ModelName, ModelEvidence] = {}
    intervals: tuple[Interval, ...] = ()
    neighbourhoods: tuple[Neighbourhood, ...] = ()
    """Ten held-out users, those first whose neighbourhood has changed most."""
    versions: tuple[VersionFigures, ...] = ()
    """Earlier versions, the oldest first."""
