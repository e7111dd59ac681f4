"""Settings of the dead letters, and what is told where there are too many."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from consumer.configuration.kafka import Topic
from consumer.configuration.section import Section, SomeSeconds
from schemas.units import Unit

WAY_OUT = (
    "mend the producer or the settings, then `retrainer dead-letters replay` or `discard`, or raise "
    "RETRAINER_DEAD_LETTERS__LIMIT or __MEGABYTES; reading goes on by itself where there is room"
)


class DeadLetterSettings(Section):
    """How many dead letters may be open before reading pauses, and where copies of them go."""

    topic: Topic | None = None
    """The topic, on the brokers of the change events, to which each letter is copied; None for none."""
    limit: Annotated[int, Field(ge=1)] = 100_000
    """Most letters that may be open before reading pauses."""
    megabytes: Annotated[int, Field(ge=1), Unit("MB")] = 256
    """Most megabytes of open letters that are kept before reading pauses."""
    check_every: SomeSeconds = 5.0
    """Seconds after which a pause looks whether there is room again."""
