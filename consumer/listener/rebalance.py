"""The rebalance listener: it notes what was assigned and taken away, and pauses what is assigned. It does no I/O.

kafka-python calls it on its own thread, where nothing may block. What is noted is dealt with by the listener thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from kafka import ConsumerRebalanceListener, TopicPartition


class Rebalance(NamedTuple):
    """Partitions that came, or were kept, or went."""

    what: Literal["assigned", "gone"]
    partitions: frozenset[TopicPartition]


class RebalanceNotes(ConsumerRebalanceListener):  # type: ignore[misc]
    """What happened to the assignment since it was last asked.

    A cooperative rebalance names only what comes and what goes. The partitions that are kept are noted with them: all
    that is assigned is put at the ledger's offsets then, as after an eager one.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._notes: deque[Rebalance] = deque()

    @property
    def pending(self) -> bool:
        """Whether there are notes that nobody has seen yet."""
        return bool(self._notes)

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Pause the partitions until they stand at the ledger's offset, the kept ones too."""
        self._assigned(frozenset(assigned) | self._consumer.assignment())

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Nothing has to be saved: whatever was read is in the ledger, or will be read again by the next owner."""
        gone = frozenset(revoked)
        self._notes.append(Rebalance("gone", gone))
        if kept := frozenset(self._consumer.assignment() - gone):  # cooperative; nobody may call again
            self._assigned(kept)

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """As for revoked; said apart, because the default would be to call that and a commit there must fail."""
        self._notes.append(Rebalance("gone", frozenset(lost)))

    def drain(self) -> list[Rebalance]:
        """The notes in order, once."""
        notes: list[Rebalance] = []
        while self._notes:
            notes.append(self._notes.popleft())
        return notes

    def _assigned(self, partitions: frozenset[TopicPartition]) -> None:
        self._consumer.pause(*partitions)
        self._notes.append(Rebalance("assigned", partitions))
