"""Kafka's committed offsets follow the ledger, as a copy for lag tools and retention. Retrainer never reads them."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from kafka.errors import KafkaError

from consumer.kafka.ports import GroupConsumer
from consumer.listener.assignment import Assignment
from consumer.positions import Partition
from schemas.fault_points import Point, reached
from schemas.log_events.listener import COMMITS_REFUSED, COMMITS_TAKEN, LAST_COMMIT_FAILED

log = structlog.get_logger()

_CLOSE_MS = 3000


class Commits:
    """Commits the offsets of placed partitions that are still assigned.

    Args:
        interval: seconds from one commit to the next.
        assignment: the partitions, and the ledger's next offsets.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(self, interval: float, assignment: Assignment, clock: Callable[[], float]) -> None:
        self.trouble: str | None = None
        """Why the last commit failed. A broker that has gone away shows here first: polls just bring nothing."""
        self._interval = interval
        self._assignment = assignment
        self._clock = clock
        self._committed_at = float("-inf")

    def follow(self, consumer: GroupConsumer) -> None:
        """Commit when it is time; quiet partitions too, so that the retention of their offsets does not run out."""
        now = self._clock()
        if not self._assignment.placed or now - self._committed_at < self._interval:
            return
        self._committed_at = now
        try:
            if offsets := self._offsets(consumer):
                consumer.commit_async(offsets, self._on_commit)
        except KafkaError as error:
            self._on_commit(error)

    def last(self, consumer: GroupConsumer) -> None:
        """Commit once more before leaving."""
        try:
            if offsets := self._offsets(consumer):
                consumer.commit(offsets, timeout_ms=_CLOSE_MS)
        except KafkaError as error:
            log.debug(LAST_COMMIT_FAILED, reason=str(error) or type(error).__name__)

    def _on_commit(self, error: Exception | None) -> None:
        """Runs on the client's thread."""
        trouble = None if error is None else str(error) or type(error).__name__
        if trouble and not self.trouble:
            log.warning(COMMITS_REFUSED, reason=trouble)
        elif self.trouble and not trouble:
            log.info(COMMITS_TAKEN)
        self.trouble = trouble
        if not trouble:
            reached(Point.COMMITTED)

    def _offsets(self, consumer: GroupConsumer) -> dict[Partition, int]:
        known = self._assignment.placed
        return {partition: known[partition] for partition in consumer.assignment() if partition in known}
