"""The ports of the bridge: a group's commits and rows, and a topic."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from schemas.events import Change, Group

Commits = tuple[int, ...]
"""The ids of a group's last commits, the newest first; empty before the first."""


class CommitLog(Protocol):
    """The source of a group's commits."""

    def recent(self) -> Commits:
        """The last few commits. A snapshot that starts after this call has all of their rows.

        Raises:
            Refused: the group keeps no commits.
        """


class KeyedRows(Protocol):
    """Some rows of a group: `columns[name][i]` belongs to `keys[i]`, a user's id or the `pair_text` of a label."""

    @property
    def keys(self) -> list[str]:
        """The keys that name somebody."""

    @property
    def columns(self) -> Mapping[str, Sequence[Any]]:
        """The contract's columns, in arrays of numbers or as they are stored."""

    @property
    def keyless(self) -> int:
        """Number of rows that were left out because their key names nobody."""


class RowStore(Protocol):
    """The source of all rows of a group: a `FeatureStore`, or a `GroupReader` for labels."""

    def check_contract(self) -> None:
        """Check that the group is there and has the contract's columns; raises ContractError with the differences."""

    def snapshot(self, changed: Collection[str]) -> Iterator[KeyedRows]:
        """Every row, in batches, each once, as of one moment not before the call."""

    def close(self) -> None:
        """Release connections. Closing twice is fine."""


class TopicState(StrEnum):
    """The state of a topic."""

    MISSING = "missing"
    EMPTY = "empty"
    """The topic exists, and was never written to."""
    USED = "used"


class Topic(Protocol):
    """The topic of change events. Every method raises KafkaError where the brokers fail."""

    @property
    def name(self) -> str:
        """Its name."""

    def state(self) -> TopicState:
        """Whether the topic exists, and whether it was written to."""

    def create(self) -> None:
        """Create the topic. A topic that exists keeps its partitions."""

    def publish(self, changes: Sequence[Change], commit: int) -> None:
        """Send the change events, and return once the brokers have acknowledged each of them.

        Args:
            changes: each user, or label, once.
            commit: the commit by which they were found.
        """

    def close(self) -> None:
        """Close the connections. Closing twice is fine."""


@dataclass(frozen=True, slots=True)
class Link:
    """A group, of users or of labels, and the topic of its changes."""

    group: Group
    commits: CommitLog
    store: RowStore
    topic: Topic

    def close(self) -> None:
        """Close both ends."""
        self.store.close()
        self.topic.close()
