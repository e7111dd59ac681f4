"""The outbox as a courier sees it: the events that wait for one channel."""

from __future__ import annotations

import structlog

from consumer.ledger.outbox import Channel, Outbox, Waiting
from consumer.model_events.envelope import Envelope
from consumer.model_events.ports import Sender
from schemas.log_events.model_events import MODEL_EVENT_SENT, MODEL_EVENTS_GIVEN_UP, WEBHOOK_GONE

log = structlog.get_logger()


class EventQueue:
    """See `consumer.sending.ports.Queue`.

    Args:
        outbox: of the ledger.
        envelope: makes events of its rows.
        sender: the channel.
    """

    def __init__(self, outbox: Outbox, envelope: Envelope, sender: Sender) -> None:
        self._outbox = outbox
        self._envelope = envelope
        self._sender = sender

    def waiting(self) -> list[Waiting]:
        """See `Queue`."""
        return self._outbox.waiting(self._sender.channel)

    def send(self, item: Waiting) -> None:
        """See `Queue`."""
        self._sender.send(self._envelope.event(item))

    def note_sent(self, item: Waiting) -> None:
        """See `Queue`."""
        self._outbox.sent(self._sender.channel, item.number)

    def note_refused(self, item: Waiting, reason: str) -> None:
        """See `Queue`. The outbox notes it for the webhook alone: a topic is in the log, and in the doctor."""
        if self._sender.channel is Channel.WEBHOOK:
            self._outbox.refused(item.number, reason)

    def give_up(self, before: float, reason: str) -> int:
        """See `Queue`; only the patience with a webhook ends."""
        return self._outbox.give_up(before, reason)

    def close(self) -> None:
        """See `Queue`."""
        self._sender.close()

    def tell_sent(self, item: Waiting) -> None:
        """See `Queue`."""
        log.info(
            MODEL_EVENT_SENT,
            type=item.type.value,
            version=item.facts.version,
            id=item.event_id,
            cycle_id=item.facts.cycle_id,
            channel=self._sender.channel.value,
        )

    def tell_gone(self, reason: str) -> None:
        """See `Queue`."""
        log.error(WEBHOOK_GONE, reason=reason)

    def tell_given_up(self, count: int, reason: str) -> None:
        """See `Queue`."""
        log.error(MODEL_EVENTS_GIVEN_UP, events=count, reason=reason)
