"""Where a record stands, and where reading of a partition stands."""

from __future__ import annotations

from typing import NamedTuple


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.number}]"


class Position(NamedTuple):
    """Where a record stands."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


class Mark(NamedTuple):
    """Where reading of a partition stands, and how its log is recognised; None where that is not known."""

    next_offset: int
    topic_id: str | None
    leader_epoch: int | None
    """Of the record before `next_offset`."""
