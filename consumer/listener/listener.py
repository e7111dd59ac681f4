"""The listener's thread and its loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError

from consumer.kafka_client import connect
from consumer.ledger.intake import Batch, Intake
from consumer.listener.commits import Commits
from consumer.listener.gaps import Gaps
from consumer.listener.hearing import Hearing, heard
from consumer.listener.places import RETRY_AFTER, Places
from consumer.listener.rebalance import RebalanceNotes
from consumer.listener.storing import Storing
from consumer.settings import Settings

log = structlog.get_logger()

_POLL_MS = 500
_CLOSE_MS = 3000


class Listener(threading.Thread):
    """Reads one topic into the ledger until it is told to stop.

    Args:
        settings: broker, topic and feature group.
        intake: where changes and offsets are stored.
        clock: seconds since the epoch.
        stored: called after something was stored, from this thread.
    """

    def __init__(
        self, settings: Settings, intake: Intake, clock: Callable[[], float], stored: Callable[[], None]
    ) -> None:
        super().__init__(name="listener", daemon=True)
        self.hearing = Hearing()
        self.failure: BaseException | None = None
        self._kafka = settings.kafka
        self._clock = clock
        self._stored = stored
        self._stopping = threading.Event()
        self._places = Places(settings.kafka, intake, clock)
        self._gaps = Gaps(settings.kafka, intake, self._places, clock, self._stopping)
        self._storing = Storing(settings, intake, self._places, clock)
        self._commits = Commits(settings.kafka.commit_interval, self._places, clock)

    def stop(self) -> None:
        """Tell the thread to leave the group and end; `join` waits for it."""
        self._stopping.set()

    def run(self) -> None:
        """Connect, listen, and leave in good order. What goes wrong for good is left in `failure`."""
        try:
            consumer = connect(self._kafka, grouped=True, stopping=self._stopping, waiting=self._wait_for_broker)
            if consumer is not None:
                self._listen(consumer)
        except BaseException as error:
            log.exception("listener failed")
            self.failure = error
        finally:
            self._show(state="stopped")
            self._stored()

    def _listen(self, consumer: Any) -> None:
        notes = RebalanceNotes(consumer)
        consumer.subscribe([self._kafka.topic], listener=notes)
        try:
            while not self._stopping.is_set():
                records = self._poll(consumer)
                self._places.note(notes.drain())
                if (batch := self._storing.store(consumer, records)) is not None:
                    self._count(batch)
                self._gaps.cross(consumer)
                self._places.place(consumer)
                self._commits.follow(consumer)
                self._show(state=self._state(), polled_at=self._clock(), **heard(consumer, self._places))
        finally:
            self._commits.last(consumer)
            consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)

    def _poll(self, consumer: Any) -> Mapping[TopicPartition, list[Any]]:
        try:
            found: Mapping[TopicPartition, list[Any]] = consumer.poll(timeout_ms=_POLL_MS)
            return found
        except NoOffsetForPartitionError:
            pass  # a group without commits; the ledger says where to begin
        except OffsetOutOfRangeError as error:
            self._gaps.lost(error.args[0])
        except CorruptRecordError:
            self._gaps.pass_over_corrupt(consumer)
        except KafkaError as error:
            log.warning("poll failed", reason=str(error) or type(error).__name__)
            self._stopping.wait(RETRY_AFTER)
        return {}

    def _count(self, batch: Batch) -> None:
        self._show(
            events=self.hearing.events + sum(batch.events.values()),
            ignored=self.hearing.ignored + sum(batch.ignored.values()),
            dead=self.hearing.dead + len(batch.dead),
        )
        self._stored()

    def _wait_for_broker(self, reason: str, pause: float) -> None:
        servers = ",".join(self._kafka.bootstrap_servers)
        log.info("waiting for broker", servers=servers, reason=reason, next_try_s=round(pause, 1))
        self._show(state="waiting for broker", polled_at=self._clock())

    def _state(self) -> str:
        if self._commits.trouble:
            return "broker away"
        if self._places.unplaced:
            return "placing"
        return "listening" if self._places.settled else "standing by" if self._places.idle else "joining"

    def _show(self, **changed: Any) -> None:
        self.hearing = replace(self.hearing, **changed)
