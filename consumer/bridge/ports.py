"""What the bridge needs of the outside: a group's commits and rows to look at, and a topic to write to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from schemas.events import Change
from schemas.features import FeatureGroup
from trainer.features.protocol import FeatureStore

Commits = tuple[int, ...]
"""The ids of a group's last commits, the newest first; empty before the first."""


class CommitLog(Protocol):
    """Where a feature group's commits are read."""

    def recent(self) -> Commits:
        """The last few commits. Whatever they say has been written: a snapshot begun after this call has it.

        Raises:
            Refused: the group keeps no commits.
        """


class TopicState(StrEnum):
    """What is known of the topic."""

    MISSING = "missing"
    EMPTY = "empty"
    """There, and never written to."""
    USED = "used"


class Topic(Protocol):
    """Where change events go. Every method raises KafkaError when the brokers do not do what is asked."""

    @property
    def name(self) -> str:
        """Its name."""

    def state(self) -> TopicState:
        """Whether it is there, and was written to."""

    def create(self) -> None:
        """Create it. One that is there already keeps its partitions."""

    def publish(self, changes: Sequence[Change], commit: int) -> None:
        """Send the change events, and return once the brokers have acknowledged each of them.

        Args:
            changes: each user once.
            commit: the commit by which they were found.
        """

    def close(self) -> None:
        """Close the connections. Closing twice is fine."""


@dataclass(frozen=True, slots=True)
class Link:
    """A feature group and the topic of its changes."""

    group: FeatureGroup
    commits: CommitLog
    store: FeatureStore
    topic: Topic

    def close(self) -> None:
        """Close both ends."""
        self.store.close()
        self.topic.close()
