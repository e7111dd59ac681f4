"""The threads of model events: a courier for each channel that is set, and one that keeps the outbox small."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.configuration.model_events import keys_of
from consumer.ledger.ledger import Ledger
from consumer.ledger.outbox import Channel, Outbox
from consumer.listener.ledger_backoff import in_short
from consumer.model_events.courier import Courier
from consumer.model_events.envelope import Envelope
from consumer.model_events.patience import TOPIC, WEBHOOK
from consumer.model_events.topic import TopicSender
from consumer.model_events.webhook import WebhookSender
from consumer.routine import Routine
from consumer.settings import Settings
from schemas.log_events.model_events import OUTBOX_NOT_TRIMMED

log = structlog.get_logger()

_TRIM_EVERY = 600.0


def followers(settings: Settings, ledger: Ledger) -> list[Routine]:
    """The threads that the settings ask for; the one that trims always runs, as the ledger always writes."""
    events, channels = settings.model_events, channels_of(settings)
    envelope, found = Envelope(settings, ledger.ledger_id), [Routine("outbox", _trimming(ledger.outbox, channels))]
    if events.topic is not None:
        courier = Courier(ledger.outbox, envelope, TopicSender(settings.kafka, events.topic), TOPIC)
        found.append(Routine("model-events", courier.run))
    if events.webhook is not None and events.webhook_secret is not None:
        sender = WebhookSender(events.webhook.get_secret_value(), keys_of(events.webhook_secret), events.webhook_cafile)
        found.append(Routine("webhook", Courier(ledger.outbox, envelope, sender, WEBHOOK).run))
    return found


def channels_of(settings: Settings) -> list[Channel]:
    """The channels that are set."""
    wanted = {Channel.TOPIC: settings.model_events.topic, Channel.WEBHOOK: settings.model_events.webhook}
    return [channel for channel, place in wanted.items() if place is not None]


def _trimming(outbox: Outbox, channels: Collection[Channel]) -> Callable[[threading.Event], None]:
    def run(stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                outbox.trim(channels)
            except DBAPIError as error:
                log.warning(OUTBOX_NOT_TRIMMED, reason=in_short(error))
            stopping.wait(_TRIM_EVERY)

    return run
