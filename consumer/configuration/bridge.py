"""Settings of the bridge."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from consumer.configuration.section import Seconds, Section, SomeSeconds


class BridgeSettings(Section):
    """How `retrainer bridge` watches a feature group and publishes what changed."""

    poll_interval: SomeSeconds = 30.0
    """Seconds from one look at the group's commits to the next."""
    recompare_after: Seconds = 21600.0
    """Compare after so many seconds also without a commit; 0 for never. A writer that dies after it wrote the rows
    leaves a change without a commit."""
    partitions: Annotated[int, Field(ge=1)] = 3
    """Partitions of the topic, where the bridge creates the topic."""
    chunk: Annotated[int, Field(ge=1, le=100_000)] = 5000
    """Events that are published, acknowledged and stored in one go: what a crash publishes twice at most."""
    max_deleted_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Deletes of more than this share of the known users are held back until somebody accepts them."""
