"""What the bridge needs of the outside: a group's commits and rows to look at, and a topic to write to."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from schemas.events import Change, Group

Commits = tuple[int, ...]
"""The ids of a group's last commits, the newest first; empty before the first."""


class CommitLog(Protocol):
    """Where a group's commits are read."""

    def recent(self) -> Commits:
        """The last few commits. Whatever they say has been written: a snapshot begun after this call has it.

        Raises:
            Refused: the group keeps no commits.
        """


class KeyedRows(Protocol):
    """Some rows of a group: `columns[name][i]` belongs to `keys[i]`, a user's id or the `pair_text` of a label."""

    @property
    def keys(self) -> list[str]:
        """Those that name somebody."""

    @property
    def columns(self) -> Mapping[str, Sequence[Any]]:
        """The contract's columns, in arrays of numbers or as they are stored."""

    @property
    def keyless(self) -> int:
        """Rows that were left out, as their key names nobody."""


class RowStore(Protocol):
    """Where all rows of a group are read. A `FeatureStore` is one, and a `GroupReader` for labels."""

    def check_contract(self) -> None:
        """Whether the group is there and has the contract's columns; ContractError says what differs."""

    def snapshot(self, changed: Collection[str]) -> Iterator[KeyedRows]:
        """Every row, in batches, each once, as of one moment not before the call."""

    def close(self) -> None:
        """Give back connections. Closing twice is fine."""


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
