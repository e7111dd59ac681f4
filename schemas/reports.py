"""Reports of cycles: how many are kept, and what a request tells a report of earlier versions."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from schemas.base import Frozen, Policy

EVIDENCE_FILE, PAGE_FILE = "evidence.json", "report.html"


class ReportPolicy(Policy):
    """What is kept of each cycle for people to look at."""

    keep: Annotated[int, Field(ge=0)] = 200
    """Reports of so many cycles are kept in `reports` in the state folder, the newest; 0 for none."""
    html: bool = True
    """Whether the page of a cycle is drawn when the cycle has ended, and put into its version; without,
    `retrainer report` draws it when somebody asks."""


class VersionFigures(Frozen):
    """The figures of a registered version on the exam of its own cycle. Unknown figures are None."""

    version: int
    registered_at: AwareDatetime
    kind: str
    """Of its cycle."""
    accuracy: float
    average_precision: float | None = None
    recall_at_10: float
    outcome_auc: float | None = None
    recall_at_50: float | None = None
