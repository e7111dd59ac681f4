"""Model events by HTTP: a signed POST of each."""

from __future__ import annotations

from consumer.ledger.outbox import Channel
from consumer.sending.webhook import SignedWebhook
from schemas.model_events import CONTENT_TYPE, ModelEvent


class WebhookSender(SignedWebhook):
    """Sends events to one URL."""

    channel = Channel.WEBHOOK

    def send(self, event: ModelEvent) -> None:
        """See `Sender`."""
        self.post(event.id, event.body(), CONTENT_TYPE)

    def close(self) -> None:
        """See `Sender`; each event has a connection of its own."""
