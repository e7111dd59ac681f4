"""Model events on a topic: keyed by the model's name, so that those of a model keep their order in one partition."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from kafka.errors import KafkaError

from consumer.configuration.kafka import KafkaSettings
from consumer.kafka.clients import make_producer
from consumer.kafka.options import producer_options
from consumer.kafka.ports import Producer
from consumer.ledger.outbox import Channel
from consumer.sending.ports import NotSent
from schemas.model_events import CONTENT_TYPE, ModelEvent

_DELIVERY_MS = 10_000
_WITHIN = 15.0  # longer than any delivery may take: then it is known whether the event is there
_CLOSE_SECONDS = 3.0


class TopicSender:
    """Sends one event after the other, each acknowledged by all replicas before the next."""

    channel = Channel.TOPIC

    def __init__(self, kafka: KafkaSettings, topic: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._producer: Producer | None = None

    def send(self, event: ModelEvent) -> None:
        """See `Sender`."""
        try:
            if self._producer is None:
                self._producer = make_producer(self._kafka, _options(self._kafka))
            promise = self._producer.send(
                self._topic,
                key=event.data.model_name.encode(),
                value=event.body(),
                headers=[("content-type", CONTENT_TYPE.encode())],
            )
            self._producer.flush(timeout=_WITHIN)
            promise.get(timeout=0)
        except KafkaError as error:
            self.close()
            raise NotSent(f"topic {self._topic}: {str(error) or type(error).__name__}") from error

    def close(self) -> None:
        """See `Sender`."""
        if self._producer is not None:
            with suppress(KafkaError):
                self._producer.close(timeout=_CLOSE_SECONDS)
            self._producer = None


def _options(kafka: KafkaSettings) -> dict[str, Any]:
    return {
        **producer_options(kafka),
        "allow_auto_create_topics": False,
        "enable_idempotence": False,  # a repeated event does no harm, and not every broker has producer ids
        "delivery_timeout_ms": _DELIVERY_MS,
        "request_timeout_ms": _DELIVERY_MS // 2,
        "max_block_ms": 3_000,
        "reconnect_backoff_max_ms": 3_000,
    }
