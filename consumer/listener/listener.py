"""The listener's thread and its loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from kafka.errors import KafkaError, LogTruncationError
from sqlalchemy.exc import DBAPIError

from consumer.clock import Clock
from consumer.dead_letters.limit import DeadLetterLimit
from consumer.errors import ConsumerError
from consumer.kafka.connecting import connect
from consumer.kafka.group import Membership
from consumer.kafka.ports import GroupConsumer, Polled
from consumer.ledger.batch import Batch
from consumer.ledger.intake import Intake
from consumer.listener.assignment import Assignment
from consumer.listener.batch_writer import BatchWriter
from consumer.listener.commits import Commits
from consumer.listener.gaps import Gaps
from consumer.listener.lag_meter import LagMeter
from consumer.listener.ledger_backoff import LedgerBackoff
from consumer.listener.notices import Notices, groups_of
from consumer.listener.pauses import Pauses
from consumer.listener.polling import Polling
from consumer.listener.rebalance import RebalanceNotes
from consumer.listener.state import ListenerState
from consumer.listener.status import ListenerStatus
from consumer.settings import Settings
from schemas.log_events.listener import CLIENT_NOT_CLOSED, LISTENER_FAILED, RECONNECTING, WAITING_FOR_BROKER

log = structlog.get_logger()

_CLOSE_MS = 3000


class Listener(threading.Thread):
    """Reads the topics of users and labels into the ledger until `stop`.

    Args:
        settings: broker, topics and groups.
        intake: where changes and offsets are stored.
        clock: for waits, and for the moments in `status`.
        stored: called after something was stored, from this thread.
        instance: the id of the instance that listens.
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
        self.status = ListenerStatus()
        self.failure: BaseException | None = None
        self._kafka = settings.kafka
        self._member = Membership(intake.ledger_id, instance)
        self._clock = clock
        self._stored = stored
        self._stopping = threading.Event()
        self._pauses = Pauses()
        self._assignment = Assignment(settings.kafka, intake, clock)
        self._dead_letter_limit = DeadLetterLimit(
            settings.dead_letters,
            intake.open_letters,
            hold=partial(self._pauses.hold, ListenerState.TOO_MANY_DEAD_LETTERS),
            release=partial(self._pauses.release, ListenerState.TOO_MANY_DEAD_LETTERS),
            clock=clock.elapsed,
        )
        self._gaps = Gaps(
            settings.kafka, intake, self._assignment, clock.now, self._alive, self._dead_letter_limit.admits
        )
        patience = (settings.kafka.session_timeout_ms + settings.kafka.request_timeout_ms) / 1000
        self._polling = Polling(self._gaps, clock.elapsed, self._stopping, patience)
        self._backoff = LedgerBackoff(clock.elapsed)
        self._writer = BatchWriter(settings, intake, self._assignment, self._dead_letter_limit, self._backoff, clock)
        self._lag_meter = LagMeter(self._assignment, clock.elapsed)
        self._notices = Notices(groups_of(settings), clock.elapsed)
        self._commits = Commits(settings.kafka.commit_interval, self._assignment, clock.elapsed)

    def stop(self) -> None:
        """Tell the thread to leave the group and end; `join` waits for it."""
        self._stopping.set()

    def run(self) -> None:
        """Connect, listen, and leave in good order.

        Whatever goes wrong with a client, the listener connects another one, which reads on from the ledger's offsets.
        Settings that no client can use are left in `failure`.
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
            self._show(state=ListenerState.STOPPED)
            self._stored()

    def _listen(self, consumer: GroupConsumer) -> None:
        notes = RebalanceNotes(consumer)
        self._polling.begin()
        try:
            consumer.subscribe(self._kafka.topics, notes)
            while not self._stopping.is_set():
                self._turn(consumer, notes)
        except Exception as error:  # noqa: BLE001  (the client raises what it should not; listening must not end, P6)
            self._pause_before_another(error)
        finally:
            self._leave(consumer, notes)
            self._assignment.clear()

    def _turn(self, consumer: GroupConsumer, notes: RebalanceNotes) -> None:
        try:
            records = self._polling.poll(consumer)
            self._assignment.note(notes.drain())
            if records is not None:
                self._store(consumer, records, notes)
            else:
                self._finish(consumer)  # before anything is put elsewhere: what was read well is not read in vain
            self._gaps.record_gaps(consumer)
            if records is None and self._assignment.placed:
                self._assignment.rewind(consumer)  # or the next poll would skip what this one took and did not give
            self._place_when_due(consumer)
            self._dead_letter_limit.tick()
            self._pauses.apply(consumer, self._assignment)
            if not notes.pending:
                self._commits.follow(consumer)
            self._tell(consumer)
        except LogTruncationError as error:
            self._assignment.note(notes.drain())
            self._finish(consumer)
            self._gaps.cut(error.divergent_offsets)
            self._gaps.record_gaps(consumer)  # now: the client says so in every turn until a seek moves it

    def _store(self, consumer: GroupConsumer, records: Polled, notes: RebalanceNotes) -> None:
        ahead = self._assignment.ahead_of_ledger(consumer)
        if notes.pending:
            ahead = {}  # the client may stand at Kafka's committed offsets
        if (batch := self._writer.store(consumer, records, ahead)) is not None:
            self._count(batch)

    def _finish(self, consumer: GroupConsumer) -> None:
        if (batch := self._writer.finish(consumer)) is not None:
            self._count(batch)

    def _place_when_due(self, consumer: GroupConsumer) -> None:
        """Place only when the ledger may be tried again: what is placed is fetched, and so offered to the ledger."""
        if not self._backoff.due:
            return
        try:
            self._assignment.place(consumer)
        except DBAPIError as error:
            self._backoff.refused(error)

    def _tell(self, consumer: GroupConsumer) -> None:
        lag = self._lag_meter.measure(consumer)
        if lag.records == 0 and not self._assignment.unplaced:
            self._backoff.took()  # there is nothing left that it could refuse
        self._show(
            state=self._state(),
            why=self._polling.trouble or self._commits.trouble,
            held=self._pauses.reason,
            trouble=self._backoff.reason,
            **self._polled(),
            gaps=self._gaps.recorded,
            partitions=lag.partitions,
            lag=lag.records,
            caught_up=lag.caught_up,
        )

    def _pause_before_another(self, error: Exception) -> None:
        """The client is given up: its error is not understood, or does not pass."""
        pause = self._polling.pause()
        reason = f"{type(error).__name__}: {error}"
        understood = isinstance(error, (KafkaError, DBAPIError, ConsumerError))
        tell = log.error if understood else log.exception
        tell(RECONNECTING, reason=reason, next_try_s=pause)
        reconnects = self.status.reconnects + 1
        self._show(state=ListenerState.RECONNECTING, why=reason, partitions=0, lag=None, reconnects=reconnects)
        self._stopping.wait(pause)
        self._show(**self._polled())

    def _leave(self, consumer: GroupConsumer, notes: RebalanceNotes) -> None:
        """Store what is gathered, commit once more, and leave. A client that cannot even do that is left as it is."""
        try:
            self._assignment.note(notes.drain())
            self._finish(consumer)
            self._commits.last(consumer)
            consumer.close(timeout_ms=_CLOSE_MS)
        except Exception as error:  # noqa: BLE001  (it is not needed any more)
            log.warning(CLIENT_NOT_CLOSED, reason=f"{type(error).__name__}: {error}")

    def _count(self, batch: Batch) -> None:
        self._notices.stored(batch)
        self._show(
            notices=self._notices.current,
            events=self.status.events + sum(batch.events.values()),
            ignored=self.status.ignored + sum(batch.ignored.values()),
            dead=self.status.dead + len(batch.dead),
            stored_event_at=batch.newest_event_at or self.status.stored_event_at,
        )
        self._stored()

    def _wait_for_broker(self, reason: str, pause: float) -> None:
        servers = ",".join(self._kafka.bootstrap_servers)
        log.info(WAITING_FOR_BROKER, servers=servers, reason=reason, next_try_s=round(pause, 1))
        self._show(state=ListenerState.WAITING_FOR_BROKER, why=reason, lag=None, **self._polled())

    def _alive(self) -> None:
        self._show(**self._polled())

    def _state(self) -> ListenerState:
        if self._polling.trouble:
            return ListenerState.POLL_FAILS
        if self._commits.trouble or self._lag_meter.broker_away:
            return ListenerState.BROKER_AWAY
        if self._pauses.reason is not None:
            return self._pauses.reason
        if self._backoff.reason:
            return ListenerState.LEDGER_REFUSES
        if self._assignment.unplaced:
            return ListenerState.PLACING
        if self._assignment.settled:
            return ListenerState.LISTENING
        return ListenerState.STANDING_BY if self._assignment.idle else ListenerState.JOINING

    def _polled(self) -> dict[str, float]:
        return {"polled_at": self._clock.now(), "polled_elapsed": self._clock.elapsed()}

    def _show(self, **changed: Any) -> None:
        if changed.get("lag") is not None:
            changed |= {"last_lag": changed["lag"], "lag_at": self._clock.now()}
        self.status = replace(self.status, **changed)
