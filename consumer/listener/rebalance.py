"""Notes of what the group assigns and takes away. Taking them does no I/O: the client's own thread calls.

The listener's thread deals with the notes later, in its next turn.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import NamedTuple

from consumer.kafka.ports import GroupConsumer
from consumer.positions import Partition


class RebalanceKind(Enum):
    """What happened to partitions."""

    ASSIGNED = auto()
    """They came, or were kept."""
    GONE = auto()


class Rebalance(NamedTuple):
    """Partitions that came, or were kept, or went."""

    kind: RebalanceKind
    partitions: frozenset[Partition]


class RebalanceNotes:
    """What happened to the assignment since the last `drain`. It is the client's `RebalanceListener`.

    A cooperative rebalance names only what comes and what goes. The notes name the kept partitions, too: the listener
    puts all that is assigned at the ledger's offsets then, as after an eager one.
    """

    def __init__(self, consumer: GroupConsumer) -> None:
        self._consumer = consumer
        self._notes: deque[Rebalance] = deque()

    @property
    def pending(self) -> bool:
        """Whether there are notes that nobody has seen yet."""
        return bool(self._notes)

    def on_assigned(self, assigned: frozenset[Partition]) -> None:
        """Pause the partitions until they stand at the ledger's offset, the kept ones too."""
        self._assigned(assigned | self._consumer.assignment())

    def on_revoked(self, revoked: frozenset[Partition]) -> None:
        """Nothing has to be saved: the ledger has whatever was read, or the next owner reads it again."""
        self._notes.append(Rebalance(RebalanceKind.GONE, revoked))
        if kept := frozenset(self._consumer.assignment() - revoked):  # cooperative; nobody may call again
            self._assigned(kept)

    def on_lost(self, lost: frozenset[Partition]) -> None:
        """The partitions have gone already."""
        self._notes.append(Rebalance(RebalanceKind.GONE, lost))

    def drain(self) -> list[Rebalance]:
        """The notes in order, once."""
        notes: list[Rebalance] = []
        while self._notes:
            notes.append(self._notes.popleft())
        return notes

    def _assigned(self, partitions: frozenset[Partition]) -> None:
        self._consumer.pause(*partitions)
        self._notes.append(Rebalance(RebalanceKind.ASSIGNED, partitions))
