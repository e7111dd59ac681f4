"""Kafka's committed offsets follow the ledger, as a copy for lag tools and retention. Nothing ever reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from consumer.listener.places import Places
from schemas.fault_points import Point, reached
from schemas.log_events.listener import COMMITS_REFUSED, COMMITS_TAKEN, LAST_COMMIT_FAILED

log = structlog.get_logger()

_CLOSE_MS = 3000


class Commits:
    """Commits the offsets of placed partitions that are still assigned."""

    def __init__(self, interval: float, places: Places, clock: Callable[[], float]) -> None:
        self.trouble: str | None = None
        """Why the last commit failed. A broker that has gone away shows here first: polls just bring nothing."""
        self._interval = interval
        self._places = places
        self._clock = clock
        self._committed_at = float("-inf")

    def follow(self, consumer: Any) -> None:
        """Commit when it is time; quiet partitions too, so that the retention of their offsets does not run out."""
        now = self._clock()
        if not self._places.next or now - self._committed_at < self._interval:
            return
        self._committed_at = now
        try:
            if offsets := self._offsets(consumer):
                consumer.commit_async(offsets, callback=self._on_commit)
        except KafkaError as error:
            self._on_commit(None, error)

    def last(self, consumer: Any) -> None:
        """Commit once more before leaving."""
        try:
            if offsets := self._offsets(consumer):
                consumer.commit(offsets, timeout_ms=_CLOSE_MS)
        except KafkaError as error:
            log.debug(LAST_COMMIT_FAILED, reason=str(error) or type(error).__name__)

    def _on_commit(self, _offsets: object, response: object) -> None:
        """Runs on the client's thread."""
        trouble = (str(response) or type(response).__name__) if isinstance(response, Exception) else None
        if trouble and not self.trouble:
            log.warning(COMMITS_REFUSED, reason=trouble)
        elif self.trouble and not trouble:
            log.info(COMMITS_TAKEN)
        self.trouble = trouble
        if not trouble:
            reached(Point.COMMITTED)

    def _offsets(self, consumer: Any) -> dict[TopicPartition, OffsetAndMetadata]:
        known = self._places.next
        return {tp: OffsetAndMetadata(known[tp], "", -1) for tp in consumer.assignment() if tp in known}
