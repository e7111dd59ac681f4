"""How the service was, minute by minute: for the page, and for the share of minutes in which a promise was kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from schemas.base import Frozen

_Count = Annotated[int, Field(ge=0)]

SAMPLE_EVERY = 60
"""Seconds from one sample to the next: one for each minute of the clock."""


class Sample(Frozen):
    """One minute, as the instance that holds the lease saw it. A figure is None where it was not known then."""

    at: float
    """When, in seconds since the epoch."""
    lag: _Count | None
    """Events that were still to be read."""
    pending_users: _Count
    """Users of whom the champion had not learned the last change, those of a running cycle included."""
    pending_labels: _Count
    """The same of labels."""
    oldest_pending_s: Annotated[float, Field(ge=0)] | None
    """Age of the oldest such change since it arrived here; None where the champion had learned all that had arrived."""
    champion: int | None
    """The version that answered."""
    training: bool
    """Whether a cycle was under way."""
    consumer_bytes: _Count | None
    """Resident memory of the service itself; None where the machine does not say."""
    trainer_bytes: _Count | None
    """Resident memory of all processes that the service had started: the trainers."""
    events: _Count
    """Events read since the ledger began."""
