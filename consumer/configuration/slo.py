"""Settings of the freshness promise."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from consumer.configuration.section import Section, SomeSeconds


class SloSettings(Section):
    """The freshness promise (docs/freshness.md): how old a change may be before the champion has learned it."""

    freshness: SomeSeconds | None = Field(default=None, examples=["30m"])
    """A change is learned at the latest so long after it arrived: cycles start in time for that, and `status`, metrics
    and notifications say where it is not kept. None promises nothing."""
    objective: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """The share of minutes, of seven days, in which the promise is meant to be kept; the rest is the error budget."""
    outranks_quiet_hours: bool = False
    """Whether a cycle starts in quiet hours where the promise would be broken otherwise."""
