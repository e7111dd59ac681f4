"""The dead-letter topic: each letter of the ledger is copied there once it is stored, at least once.

A column of the ledger notes which letters the topic has. While the ledger refuses the note, only the note is tried
again. After a crash between the acknowledgement and the note, or with several services at once, a letter is published
twice; readers of the topic recognise copies by the position in their headers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any

import structlog
from kafka.errors import KafkaError, MessageSizeTooLargeError

from consumer.configuration.kafka import KafkaSettings
from consumer.dead_letters.letter import DeadLetter, Stored
from consumer.dead_letters.render import when
from consumer.dead_letters.store import Letters
from consumer.errors import SettingsError
from consumer.kafka.clients import make_producer
from consumer.kafka.options import producer_options
from consumer.kafka.ports import Producer, Promise
from consumer.routine import Routine
from schemas.log_events.listener import DEAD_LETTERS_COPIED, DEAD_LETTERS_NOT_COPIED

log = structlog.get_logger()

_IDLE = 1.0  # seconds between looks at a ledger that had nothing
_LONGEST_WAIT = 60.0
_DELIVERY_MS = 10_000
_FLUSH_SECONDS = 15.0  # longer than any delivery may take, so that every record is delivered or refused by then
_STOP_SECONDS = 3.0
_MOST_BYTES = 16 * 2**20  # of a letter; no broker takes a request of more than 100 MB, and few a record of more than 1
_LEFT_OUT = "retrainer.left-out"


class Publisher(Routine):
    """Copies letters to a topic in a thread of its own; may be started and stopped any number of times.

    Args:
        kafka: the brokers, and the topic that is listened to.
        topic: where letters go.
        letters: the letters of the ledger.

    Raises:
        SettingsError: the topic is the one that is listened to.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, letters: Letters) -> None:
        if topic in kafka.topics:
            raise SettingsError(
                f"RETRAINER_DEAD_LETTERS__TOPIC: {topic} is the topic that is listened to; name one of its own"
            )
        self._kafka = kafka
        self._topic = topic
        self._letters = letters
        super().__init__("dead-letter-publisher", self._run)

    def _run(self, stopping: threading.Event) -> None:
        with closing(_Copier(self._kafka, self._topic)) as copier:
            wait, away = _IDLE, False
            while not stopping.is_set():
                try:
                    pause = 0.0 if self._published_some(copier) else _IDLE
                except Exception as error:  # noqa: BLE001  (whatever it is, the letters wait in the ledger)
                    copier.close()
                    if not away:
                        log.warning(
                            DEAD_LETTERS_NOT_COPIED, topic=self._topic, reason=str(error) or type(error).__name__
                        )
                    away, pause, wait = True, wait, min(2 * wait, _LONGEST_WAIT)
                else:
                    if away and pause == 0.0:
                        log.info(DEAD_LETTERS_COPIED, topic=self._topic)
                        wait, away = _IDLE, False
                stopping.wait(pause)

    def _published_some(self, copier: _Copier) -> bool:
        if not copier.unnoted:
            found = self._letters.unpublished()
            if not found:
                return False
            copier.unnoted = copier.copied(found)
        self._letters.published(copier.unnoted)
        copier.unnoted = []
        return True


class _Copier:
    """A producer for the dead-letter topic: made when needed, closed after an error, and then made again."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._producer: Producer | None = None
        self.unnoted: list[int] = []
        """Numbers of letters that the topic has and the ledger does not note yet."""

    def copied(self, found: Sequence[Stored]) -> list[int]:
        """Send letters; gives the numbers of those that all replicas have acknowledged, at least one.

        Raises:
            KafkaError: the first letter was not acknowledged.
            ConsumerError: no broker can be used.
        """
        if self._producer is None:
            self._producer = make_producer(self._kafka, _options(self._kafka))
        promises = [(stored, self._send(stored)) for stored in found]
        self._producer.flush(timeout=_FLUSH_SECONDS)
        done: list[int] = []
        try:
            for stored, promise in promises:
                try:
                    promise.get(timeout=0)
                except MessageSizeTooLargeError:
                    self._send(stored, without_bytes=True).get(timeout=_FLUSH_SECONDS)
                done.append(stored.entry.id)
        except KafkaError:
            if not done:
                raise
        return done

    def close(self) -> None:
        """Close the producer, with whatever it still has to send."""
        if self._producer is not None:
            with suppress(KafkaError):
                self._producer.close(timeout=_STOP_SECONDS)
            self._producer = None

    def _send(self, stored: Stored, *, without_bytes: bool = False) -> Promise:
        assert self._producer is not None
        letter, told = stored.letter, _told(stored)
        if without_bytes or stored.entry.size > _MOST_BYTES:
            why = f"the topic does not take {letter.size} bytes: see `retrainer dead-letters show`"
            return self._producer.send(self._topic, value=b"", headers=[*told, (_LEFT_OUT, why.encode())])
        if letter.key is None and letter.value is None:  # the client sends no such record
            return self._producer.send(
                self._topic, value=b"", headers=[*_sendable(letter), *told, (_LEFT_OUT, b"no key and no value")]
            )
        return self._producer.send(self._topic, key=letter.key, value=letter.value, headers=[*_sendable(letter), *told])


def _sendable(letter: DeadLetter) -> list[tuple[str, bytes]]:
    """The headers of a letter as the client can send them: with a value, if an empty one, and a name in UTF-8."""
    return [
        (name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"), value or b"")
        for name, value in letter.headers
    ]


def _told(stored: Stored) -> list[tuple[str, bytes]]:
    entry = stored.entry
    told = {
        "topic": entry.position.topic,
        "partition": entry.position.partition,
        "offset": entry.position.offset,
        "stage": entry.stage,
        "reason": entry.reason,
        "at": when(entry.stored_at),
    }
    return [(f"retrainer.{name}", str(value).encode()) for name, value in told.items()]


def _options(kafka: KafkaSettings) -> dict[str, Any]:
    return {
        **producer_options(kafka),
        "allow_auto_create_topics": False,
        "enable_idempotence": False,  # an idempotent producer breaks for good on a record that is too big for the topic
        "max_request_size": 2 * _MOST_BYTES,
        "delivery_timeout_ms": _DELIVERY_MS,
        "request_timeout_ms": _DELIVERY_MS // 2,
        "max_block_ms": 3_000,
        "reconnect_backoff_max_ms": 3_000,
        "linger_ms": 5,
    }
