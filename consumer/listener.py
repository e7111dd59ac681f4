"""The listener: one thread that owns the Kafka consumer and polls it for ever (P6).

What a poll brings is stored in the ledger before the next poll. Offsets are the ledger's: a partition that is assigned,
kept or not, stays paused until it has been sought to the ledger's offset, and the same is done with all of them after a
batch that could not be stored. So there is one way back from every trouble, and nothing to be remembered in between.
Kafka's committed offsets follow as a copy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import CorruptRecordError, KafkaError, NoOffsetForPartitionError, OffsetOutOfRangeError
from kafka.structs import OffsetAndMetadata
from sqlalchemy.exc import DBAPIError

from consumer.decoding import decoder, to_batch
from consumer.errors import OffsetConflict
from consumer.kafka_client import connect, why_corrupt
from consumer.ledger.intake import DeadLetter, Intake, Partition, Position
from consumer.rebalance import RebalanceNotes
from consumer.settings import Settings

log = structlog.get_logger()

_POLL_MS = 500
_RETRY_AFTER = 1.0
_CLOSE_MS = 3000
_POSITION_MS = 100


@dataclass(frozen=True, slots=True)
class Hearing:
    """How the listener is. Replaced whole, so that other threads may read it at any time."""

    state: str = "connecting"
    polled_at: float = 0.0
    partitions: int = 0
    lag: int | None = None
    """Records that the topic holds behind ours; None where it is not known."""
    caught_up: bool = False
    """Whether all is read that the partitions held when they were first assigned."""
    events: int = 0
    ignored: int = 0
    dead: int = 0


class Listener(threading.Thread):
    """Reads one topic into the ledger until it is told to stop.

    Args:
        settings: broker, topic and feature group.
        intake: where changes and offsets are stored.
        clock: seconds since the epoch.
        heard: called after something was stored, from this thread.
    """

    def __init__(
        self, settings: Settings, intake: Intake, clock: Callable[[], float], heard: Callable[[], None]
    ) -> None:
        super().__init__(name="listener", daemon=True)
        self.hearing = Hearing()
        self.failure: BaseException | None = None
        self._settings = settings
        self._topic = settings.kafka.topic
        self._decode = decoder(settings.kafka.source, settings.feature_group)
        self._intake = intake
        self._clock = clock
        self._heard = heard
        self._stopping = threading.Event()
        self._next: dict[TopicPartition, int] = {}  # of placed partitions, as the ledger has it
        self._unplaced: set[TopicPartition] = set()  # assigned, paused, not yet at the ledger's offset
        self._ends: dict[TopicPartition, int] = {}  # where each partition ended when it was first assigned
        self._lost: dict[TopicPartition, int] = {}  # where the broker said that it no longer has what we want
        self._retry_at = 0.0
        self._committed_at = 0.0
        self._trouble: str | None = None  # why the last commit failed

    def stop(self) -> None:
        """Tell the thread to leave the group and end; `join` waits for it."""
        self._stopping.set()

    def run(self) -> None:
        """Connect, listen, and leave in good order. What goes wrong for good is left in `failure`."""
        try:
            consumer = connect(
                self._settings.kafka, grouped=True, stopping=self._stopping, waiting=self._wait_for_broker
            )
            if consumer is not None:
                self._listen(consumer)
        except BaseException as error:
            log.exception("listener failed")
            self.failure = error
        finally:
            self._show(state="stopped")
            self._heard()

    def _listen(self, consumer: Any) -> None:
        notes = RebalanceNotes(consumer)
        consumer.subscribe([self._topic], listener=notes)
        try:
            while not self._stopping.is_set():
                records = self._poll(consumer)
                self._note_assignment(notes)
                if self._lost:
                    self._cross_gaps(consumer)
                if self._unplaced and self._clock() >= self._retry_at:
                    self._place(consumer)
                if fresh := {tp: batch for tp, batch in records.items() if tp in self._next}:
                    self._store(consumer, fresh)
                self._commit(consumer)
                self._show_hearing(consumer)
        finally:
            self._leave(consumer)

    def _poll(self, consumer: Any) -> Mapping[TopicPartition, list[Any]]:
        try:
            found: Mapping[TopicPartition, list[Any]] = consumer.poll(timeout_ms=_POLL_MS)
            return found
        except NoOffsetForPartitionError:
            pass  # a group without commits; the ledger says where to begin
        except OffsetOutOfRangeError as error:
            self._lost |= error.args[0]
        except CorruptRecordError:
            self._pass_over_corrupt(consumer)
        except KafkaError as error:
            log.warning("poll failed", reason=str(error) or type(error).__name__)
            self._stopping.wait(_RETRY_AFTER)
        return {}

    def _note_assignment(self, notes: RebalanceNotes) -> None:
        for note in notes.drain():
            for partition in note.partitions:
                self._next.pop(partition, None)
                self._unplaced.discard(partition)
            if note.what == "assigned":
                self._unplaced |= note.partitions
                self._retry_at = 0.0
            named = sorted(partition.partition for partition in note.partitions)
            log.info("partitions assigned" if note.what == "assigned" else "partitions gone", partitions=named)

    def _place(self, consumer: Any) -> None:
        """Seek the unplaced partitions to the ledger's offsets and let them be fetched."""
        try:
            known = {_tp(partition): offset for partition, offset in self._intake.positions(self._topic).items()}
            if unseen := self._unplaced - self._ends.keys():
                self._ends |= consumer.end_offsets(list(unseen))
            if new := self._unplaced - known.keys():
                # A partition that is new in a known topic has not been there for long: nothing of it may be skipped.
                at_end = self._settings.kafka.start == "latest" and not known
                starts = {tp: self._ends[tp] for tp in new} if at_end else consumer.beginning_offsets(list(new))
                self._intake.start_at({_partition(tp): start for tp, start in starts.items()}, self._clock())
                known |= starts
            for partition in sorted(self._unplaced):
                consumer.seek(partition, known[partition])
                self._next[partition] = known[partition]
            consumer.resume(*self._unplaced)
            self._unplaced.clear()
        except (KafkaError, DBAPIError, AssertionError) as error:
            # An assertion of the client: the partition went away while it was being placed.
            log.warning("cannot place partitions yet", reason=str(error) or type(error).__name__)
            self._retry_at = self._clock() + _RETRY_AFTER

    def _store(self, consumer: Any, records: Mapping[TopicPartition, list[Any]]) -> None:
        fetched = {_partition(tp): batch for tp, batch in records.items()}
        expected = {_partition(tp): self._next[tp] for tp in records}
        batch = to_batch(self._decode, fetched, expected, self._clock())
        try:
            self._intake.record(batch)
        except (DBAPIError, OffsetConflict) as error:
            log.error("batch not stored, reading again from the ledger's offsets", reason=str(error))
            self._rewind(consumer)
            return
        for partition, (_, following) in batch.progress.items():
            self._next[_tp(partition)] = following
        self._show(
            events=self.hearing.events + sum(batch.events.values()),
            ignored=self.hearing.ignored + sum(batch.ignored.values()),
            dead=self.hearing.dead + len(batch.dead),
        )
        for letter in batch.dead:
            log.warning("dead letter", position=str(letter.position), reason=letter.reason)
        self._heard()

    def _rewind(self, consumer: Any) -> None:
        """Pause everything and place it again a little later; polling, and so membership, goes on."""
        self._unplaced |= self._next.keys()
        self._next.clear()
        consumer.pause(*self._unplaced)
        self._retry_at = self._clock() + _RETRY_AFTER

    def _cross_gaps(self, consumer: Any) -> None:
        """Records that the broker no longer has are put on record as lost; reading goes on where the topic begins."""
        try:
            begins = consumer.beginning_offsets(list(self._lost))
            for tp, wanted in self._lost.items():
                reason = f"offsets from {wanted} on are gone, the topic begins at {begins[tp]}: retrain in full"
                position = Position(tp.topic, tp.partition, wanted)
                log.error("gap in the topic", position=str(position), reason=reason)
                letter = DeadLetter(position, self._clock(), None, None, {}, "gap", reason)
                self._intake.jump(_partition(tp), self._next.get(tp, wanted), begins[tp], letter, self._clock())
            self._lost.clear()
        except OffsetConflict:
            self._lost.clear()  # somebody moved it: if offsets are still missing, the broker says so again
        except (KafkaError, DBAPIError) as error:
            log.warning("cannot cross the gap yet", reason=str(error) or type(error).__name__)
        self._rewind(consumer)

    def _pass_over_corrupt(self, consumer: Any) -> None:
        """Go on behind the records that the client cannot parse, with a dead letter for each.

        The client does not say where they are, and its poll never returns once it has met the same one twice. So every
        partition is probed by a consumer of its own, and this one does not poll before it stands behind them.
        """
        for partition in sorted(self._next):
            while not self._stopping.is_set():
                try:
                    if (reason := why_corrupt(self._settings.kafka, partition, self._next[partition])) is not None:
                        self._bury(partition, reason)
                    break
                except OffsetConflict:
                    self._rewind(consumer)
                    return
                except (KafkaError, DBAPIError) as error:
                    log.warning("cannot pass over a corrupt record yet", reason=str(error) or type(error).__name__)
                    self._stopping.wait(_RETRY_AFTER)
        for partition, offset in self._next.items():
            with suppress(KafkaError, AssertionError):  # it went away; the note of it comes next
                consumer.seek(partition, offset)

    def _bury(self, partition: TopicPartition, reason: str) -> None:
        position = Position(partition.topic, partition.partition, self._next[partition])
        log.error("record cannot be parsed", position=str(position), reason=reason)
        letter = DeadLetter(position, self._clock(), None, None, {}, "fetch", reason)
        self._intake.jump(_partition(partition), position.offset, position.offset + 1, letter, self._clock())
        self._next[partition] += 1

    def _commit(self, consumer: Any) -> None:
        """Let Kafka's committed offsets follow; quiet partitions too, so that their retention does not run out."""
        now = self._clock()
        if not self._next or now - self._committed_at < self._settings.kafka.commit_interval:
            return
        self._committed_at = now
        consumer.commit_async(self._offsets(consumer.assignment()), callback=self._on_commit)

    def _on_commit(self, _offsets: object, response: object) -> None:
        """Runs on the client's thread. A broker that has gone away shows here first: polls just bring nothing."""
        trouble = (str(response) or type(response).__name__) if isinstance(response, Exception) else None
        if trouble and not self._trouble:
            log.warning("the broker does not take commits", reason=trouble)
        elif self._trouble and not trouble:
            log.info("the broker takes commits again")
        self._trouble = trouble

    def _offsets(self, assigned: Iterable[TopicPartition]) -> dict[TopicPartition, OffsetAndMetadata]:
        return {tp: OffsetAndMetadata(self._next[tp], "", -1) for tp in assigned if tp in self._next}

    def _leave(self, consumer: Any) -> None:
        try:
            if offsets := self._offsets(consumer.assignment()):
                consumer.commit(offsets, timeout_ms=_CLOSE_MS)
        except KafkaError as error:
            log.debug("last commit failed", reason=str(error) or type(error).__name__)
        consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)

    def _wait_for_broker(self, reason: str, pause: float) -> None:
        servers = ",".join(self._settings.kafka.bootstrap_servers)
        log.info("waiting for broker", servers=servers, reason=reason, next_try_s=round(pause, 1))
        self._show(state="waiting for broker", polled_at=self._clock())

    def _show_hearing(self, consumer: Any) -> None:
        positions = {tp: _position(consumer, tp) for tp in self._next}
        highwater = {tp: consumer.highwater(tp) for tp in self._next}
        placed = bool(self._next) and not self._unplaced
        known = all(at is not None for at in (*positions.values(), *highwater.values()))
        self._show(
            state=self._state(placed),
            polled_at=self._clock(),
            partitions=len(self._next),
            lag=sum(max(0, highwater[tp] - (positions[tp] or 0)) for tp in self._next) if placed and known else None,
            caught_up=placed and all((at or 0) >= self._ends[tp] for tp, at in positions.items()),
        )

    def _state(self, placed: bool) -> str:
        if self._trouble:
            return "broker away"
        return "listening" if placed else "placing" if self._unplaced else "joining"

    def _show(self, **changed: Any) -> None:
        self.hearing = replace(self.hearing, **changed)


def _position(consumer: Any, tp: TopicPartition) -> int | None:
    """Where the next fetch begins, behind any transaction markers; None while the client is not sure of it itself.

    After a broker came back the client first has the position validated, which asks the broker and can fail.
    """
    try:
        position: int = consumer.position(tp, timeout_ms=_POSITION_MS)
    except (KafkaError, AssertionError):
        return None
    return position


def _partition(tp: TopicPartition) -> Partition:
    return Partition(tp.topic, tp.partition)


def _tp(partition: Partition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.number)
