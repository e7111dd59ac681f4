"""What a process of the trainer room is asked about one user, and what it answers."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Frozen
from schemas.cycle import TrainerSettings


class ExplainRequest(Frozen):
    """Whom to explain, and what the ledger knows already."""

    user: str
    settings: TrainerSettings
    nearest: Annotated[int, Field(ge=0)] = 5
    """How many of the nearest users are wanted; 0 loads no model."""
    now_version: int | None = None
    """The champion."""
    before_version: int | None = None
    """The version before the one that learned the user's last change."""
    champion_cycle: str | None = None
    """The cycle that made the champion."""
    last_settled_cycle: str | None = None
    """The newest cycle whose claim is settled."""
    vectors: tuple[Path, ...] = ()
    """Folders with published vectors of users."""
    vector_group: str | None = None
    """The cluster's feature group with published vectors of users; it is not looked at."""


class Near(Frozen):
    """A user near the one in question."""

    user: str
    probability: float
    """That the two are similar, by the model."""
    cosine: float
    """Of the two embeddings."""


class NearestUsers(Frozen):
    """The nearest users by one version, on today's rows, the nearest first."""

    version: int
    users: tuple[Near, ...] = ()
    note: str | None = None
    """Why there are none."""


class Found(StrEnum):
    """Whether a place holds a user."""

    ABSENT = "absent"
    OUTGOING = "outgoing"
    """Its id stands in what is out of date, and goes by itself: with the next cycle, a report after some cycles."""
    HELD = "held"
    UNKNOWN = "unknown"
    """The place could not be looked at."""


class Trace(Frozen):
    """One place that was looked at for a user."""

    place: str
    found: Found
    evidence: str
    """What was looked at, with figures."""
    way_out: str | None = None
    """What to do, where the user is held or nothing is known."""


class Explanation(Frozen):
    """The answer. Fields are None where they were not asked for, or could not be found out; `notes` say why."""

    part: Literal["train", "dev", "holdout"]
    """Where the split puts the user."""
    in_store: bool | None = None
    """Whether the feature store has a row of the user now."""
    refused: str | None = None
    """Why that row is unfit for use."""
    same_row: bool | None = None
    """Whether it is the row that the user matrix has."""
    rows: str | None = None
    """Where the rows of the other users are from."""
    before: NearestUsers | None = None
    now: NearestUsers | None = None
    traces: tuple[Trace, ...] = ()
    """Every place that was looked at; only where the store has no row of the user."""
    notes: tuple[str, ...] = ()
