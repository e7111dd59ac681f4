"""The listener's thread and its loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError, LogTruncationError
from sqlalchemy.exc import DBAPIError

from consumer.clock import Clock
from consumer.errors import ConsumerError
from consumer.kafka.client import connect
from consumer.kafka.group import Membership
from consumer.ledger.batch import Batch
from consumer.ledger.intake import Intake
from consumer.listener.commits import Commits
from consumer.listener.flood import FloodGuard
from consumer.listener.gaps import Gaps
from consumer.listener.hearing import Hearing, Hearsay
from consumer.listener.notices import Notices, groups_of
from consumer.listener.pauses import Pauses
from consumer.listener.places import Places
from consumer.listener.polling import Polling
from consumer.listener.pressure import REFUSES, Pressure
from consumer.listener.rebalance import RebalanceNotes
from consumer.listener.storing import Storing
from consumer.settings import Settings
from schemas.log_events.listener import CLIENT_NOT_CLOSED, LISTENER_FAILED, RECONNECTING, WAITING_FOR_BROKER

log = structlog.get_logger()

_CLOSE_MS = 3000


class Listener(threading.Thread):
    """Reads the topics of users and labels into the ledger until it is told to stop.

    Args:
        settings: broker, topics and groups.
        intake: where changes and offsets are stored.
        clock: by which it waits, and by which it tells when something happened.
        stored: called after something was stored, from this thread.
        instance: the id of the instance that it listens for.
    """

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        clock: Clock,
        stored: Callable[[], None],
        instance: str = "",
    ) -> None:
        super().__init__(name="listener", daemon=True)
        self.hearing = Hearing()
        self.failure: BaseException | None = None
        self._kafka = settings.kafka
        self._member = Membership(intake.ledger_id, instance)
        self._clock = clock
        self._stored = stored
        self._stopping = threading.Event()
        self._pauses = Pauses()
        self._places = Places(settings.kafka, intake, clock)
        self._flood = FloodGuard(settings.dead_letters, intake.open_letters, self._pauses, clock.elapsed)
        self._gaps = Gaps(settings.kafka, intake, self._places, clock.now, self._alive, self._flood.admits)
        patience = (settings.kafka.session_timeout_ms + settings.kafka.request_timeout_ms) / 1000
        self._polling = Polling(self._gaps, clock.elapsed, self._stopping, patience)
        self._pressure = Pressure(clock.elapsed)
        self._storing = Storing(settings, intake, self._places, self._flood, self._pressure, clock)
        self._hearsay = Hearsay(self._places, clock.elapsed)
        self._notices = Notices(groups_of(settings), clock.elapsed)
        self._commits = Commits(settings.kafka.commit_interval, self._places, clock.elapsed)

    def stop(self) -> None:
        """Tell the thread to leave the group and end; `join` waits for it."""
        self._stopping.set()

    def run(self) -> None:
        """Connect, listen, and leave in good order.

        Whatever goes wrong with a client, another one is connected, and reads on from the ledger's offsets. Settings
        that no client can use are left in `failure`.
        """
        try:
            again = False
            while not self._stopping.is_set():
                consumer = connect(
                    self._kafka,
                    grouped=True,
                    stopping=self._stopping,
                    waiting=self._wait_for_broker,
                    again=again,
                    member=self._member,
                )
                if consumer is not None:
                    self._listen(consumer)
                again = True
        except BaseException as error:
            log.exception(LISTENER_FAILED)
            self.failure = error
        finally:
            self._show(state="stopped")
            self._stored()

    def _listen(self, consumer: Any) -> None:
        notes = RebalanceNotes(consumer)
        self._polling.begin()
        try:
            consumer.subscribe(list(self._kafka.topics), listener=notes)
            while not self._stopping.is_set():
                self._turn(consumer, notes)
        except Exception as error:  # noqa: BLE001  (the client raises what it should not; listening must not end, P6)
            self._pause_before_another(error)
        finally:
            self._leave(consumer)
            self._places.clear()

    def _turn(self, consumer: Any, notes: RebalanceNotes) -> None:
        try:
            records = self._polling.poll(consumer)
            self._places.note(notes.drain())
            if records is not None:
                self._store(consumer, records, notes)
            self._gaps.cross(consumer)
            if records is None and self._places.next:
                self._places.rewind(consumer)  # or the next poll would begin behind what this one took and did not give
            self._place_when_due(consumer)
            self._flood.tick()
            self._pauses.apply(consumer, self._places)
            if not notes.pending:
                self._commits.follow(consumer)
            self._tell(consumer)
        except LogTruncationError as error:
            self._gaps.cut(error.divergent_offsets)
            self._places.note(notes.drain())
            self._gaps.cross(consumer)  # now: the client says so in every turn until it has been sought elsewhere

    def _store(self, consumer: Any, records: dict[TopicPartition, list[Any]], notes: RebalanceNotes) -> None:
        passed = self._places.passed(consumer)
        if notes.pending:
            passed = {}  # the client may stand at Kafka's committed offsets
        if (batch := self._storing.store(consumer, records, passed)) is not None:
            self._count(batch)

    def _place_when_due(self, consumer: Any) -> None:
        """What is placed is fetched, and so offered to the ledger: not before that may be tried again."""
        if not self._pressure.due:
            return
        try:
            self._places.place(consumer)
        except DBAPIError as error:
            self._pressure.refused(error)

    def _tell(self, consumer: Any) -> None:
        heard = self._hearsay.heard(consumer)
        if heard["lag"] == 0 and not self._places.unplaced:
            self._pressure.took()  # there is nothing left that it could refuse
        self._show(
            state=self._state(),
            why=self._polling.trouble or self._commits.trouble,
            held=self._pauses.reason,
            trouble=self._pressure.reason,
            **self._polled(),
            gaps=self._gaps.crossed,
            **heard,
        )

    def _pause_before_another(self, error: Exception) -> None:
        """Something that is not understood, or that does not pass: the client is given up."""
        pause = self._polling.pause()
        reason = f"{type(error).__name__}: {error}"
        understood = isinstance(error, (KafkaError, DBAPIError, ConsumerError))
        tell = log.error if understood else log.exception
        tell(RECONNECTING, reason=reason, next_try_s=pause)
        self._show(state="connecting afresh", why=reason, partitions=0, lag=None, afresh=self.hearing.afresh + 1)
        self._stopping.wait(pause)
        self._show(**self._polled())

    def _leave(self, consumer: Any) -> None:
        """Commit once more, and leave the group; a client that is beside itself is left as it is."""
        try:
            self._commits.last(consumer)
            consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
        except Exception as error:  # noqa: BLE001  (it is not needed any more)
            log.warning(CLIENT_NOT_CLOSED, reason=f"{type(error).__name__}: {error}")

    def _count(self, batch: Batch) -> None:
        self._notices.stored(batch)
        self._show(
            notices=self._notices.told,
            events=self.hearing.events + sum(batch.events.values()),
            ignored=self.hearing.ignored + sum(batch.ignored.values()),
            dead=self.hearing.dead + len(batch.dead),
        )
        self._stored()

    def _wait_for_broker(self, reason: str, pause: float) -> None:
        servers = ",".join(self._kafka.bootstrap_servers)
        log.info(WAITING_FOR_BROKER, servers=servers, reason=reason, next_try_s=round(pause, 1))
        self._show(state="waiting for broker", why=reason, lag=None, **self._polled())

    def _alive(self) -> None:
        self._show(**self._polled())

    def _state(self) -> str:
        if self._polling.trouble:
            return "poll fails"
        if self._commits.trouble or self._hearsay.lost:
            return "broker away"
        if self._pauses.reason is not None:
            return self._pauses.reason
        if self._pressure.reason:
            return REFUSES
        if self._places.unplaced:
            return "placing"
        return "listening" if self._places.settled else "standing by" if self._places.idle else "joining"

    def _polled(self) -> dict[str, float]:
        return {"polled_at": self._clock.now(), "polled_elapsed": self._clock.elapsed()}

    def _show(self, **changed: Any) -> None:
        if changed.get("lag") is not None:
            changed |= {"last_lag": changed["lag"], "lag_at": self._clock.now()}
        self.hearing = replace(self.hearing, **changed)
