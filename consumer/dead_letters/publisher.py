"""The dead-letter topic: each letter of the ledger is copied there once it is stored, at least once.

A column of the ledger says which letters the topic has. While the ledger refuses that note, it alone is tried again. A
crash between the acknowledgement and the note, or several services at once, publish a letter twice; whoever reads the
topic tells the copies by the position in their headers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Any

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from consumer.configuration.kafka import KafkaSettings
from consumer.dead_letters.showing import when
from consumer.errors import SettingsError
from consumer.kafka.client import made, producer_options
from consumer.ledger.batch import DeadLetter
from consumer.ledger.letters import Letters, Stored
from schemas.log_events.listener import DEAD_LETTERS_COPIED, DEAD_LETTERS_NOT_COPIED

log = structlog.get_logger()

_IDLE = 1.0  # seconds between looks at a ledger that had nothing
_LONGEST_WAIT = 60.0
_DELIVERY_MS = 10_000
_FLUSH_SECONDS = 15.0  # longer than any delivery may take, so every record has come to an end by then
_STOP_SECONDS = 3.0
_MOST_BYTES = 16 * 2**20  # of a letter; no broker takes a request of more than 100 MB, and few a record of more than 1
_LEFT_OUT = "retrainer.left-out"


class Publisher:
    """Copies letters to a topic in a thread of its own; started and stopped as often as one likes.

    Args:
        kafka: the brokers, and the topic that is listened to.
        topic: where letters go.
        letters: of the ledger.

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
        self._running: threading.Event | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Publish from now on; nothing where it does already."""
        if self._running is None:
            self._running = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._running,), name="dead-letter-publisher", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Publish no more. What the thread is waiting for it gives up within seconds, on its own."""
        if self._running is not None and self._thread is not None:
            self._running.set()
            self._thread.join(_STOP_SECONDS)
            self._running = self._thread = None

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
    """A producer for the dead-letter topic, made when it is needed; after trouble it is closed, and made anew."""

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._producer: Any = None
        self.unnoted: list[int] = []
        """What the topic has and the ledger does not know of yet."""

    def copied(self, found: Sequence[Stored]) -> list[int]:
        """The numbers of those that the topic has now, acknowledged by all its replicas; at least one.

        Raises:
            KafkaError: it does not have the first.
            ConsumerError: no broker can be used.
        """
        if self._producer is None:
            self._producer = made(KafkaProducer, self._kafka, _options(self._kafka))[0]
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
        """Give the producer up, with whatever it still has to send."""
        if self._producer is not None:
            with suppress(KafkaError):
                self._producer.close(timeout=_STOP_SECONDS)
            self._producer = None

    def _send(self, stored: Stored, *, without_bytes: bool = False) -> Any:
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
        "enable_idempotence": False,  # an idempotent producer is of no more use once a record was too big for the topic
        "max_request_size": 2 * _MOST_BYTES,
        "delivery_timeout_ms": _DELIVERY_MS,
        "request_timeout_ms": _DELIVERY_MS // 2,
        "max_block_ms": 3_000,
        "reconnect_backoff_max_ms": 3_000,
        "linger_ms": 5,
    }
