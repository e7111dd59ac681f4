"""The threads of model events: a courier for each channel that is set, and one that keeps the outbox small."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.configuration.webhook import keys_of
from consumer.ledger.ledger import Ledger
from consumer.ledger.outbox import Channel, Outbox
from consumer.listener.ledger_backoff import in_short
from consumer.model_events.envelope import Envelope
from consumer.model_events.ports import Sender
from consumer.model_events.queue import EventQueue
from consumer.model_events.topic import TopicSender
from consumer.model_events.webhook import WebhookSender
from consumer.routine import Routine
from consumer.sending.courier import Courier
from consumer.sending.patience import TOPIC, WEBHOOK, Patience
from consumer.settings import Settings
from consumer.trouble import Trouble
from schemas.log_events.model_events import MODEL_EVENTS_NOT_SENT, MODEL_EVENTS_SENT_AGAIN, OUTBOX_NOT_TRIMMED

log = structlog.get_logger()

_TRIM_EVERY = 600.0


def followers(settings: Settings, ledger: Ledger) -> list[Routine]:
    """The threads that the settings ask for; the one that trims always runs, as the ledger always writes."""
    events, channels = settings.model_events, channels_of(settings)
    found = [Routine("outbox", _trimming(ledger.outbox, channels))]

    def carrying(name: str, sender: Sender, patience: Patience) -> Routine:
        queue = EventQueue(ledger.outbox, Envelope(settings, ledger.ledger_id), sender)
        trouble = Trouble(MODEL_EVENTS_NOT_SENT, MODEL_EVENTS_SENT_AGAIN, time.monotonic)
        return Routine(name, Courier(queue, patience, trouble).run)

    if events.topic is not None:
        found.append(carrying("model-events", TopicSender(settings.kafka, events.topic), TOPIC))
    if events.webhook is not None and events.webhook_secret is not None:
        sender = WebhookSender(events.webhook.get_secret_value(), keys_of(events.webhook_secret), events.webhook_cafile)
        found.append(carrying("webhook", sender, WEBHOOK))
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
