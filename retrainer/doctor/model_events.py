"""Model events: whether their topic is there, and whether events have been waiting for long."""

from __future__ import annotations

import time

from consumer.errors import LedgerError
from consumer.ledger.ledger import Ledger
from consumer.ledger.looking import look
from consumer.ledger.outbox import Channel
from consumer.model_events.followers import channels_of
from retrainer.doctor.checks import Check, Finding, failed, ok, warning
from retrainer.doctor.context import CheckContext
from retrainer.doctor.topic import describe

MODEL_EVENTS = "model events"

_LONG = 600.0  # seconds that an event may wait before a person is told
_LOG = "see the log of the service that runs cycles"


def model_event_checks(context: CheckContext, needs: tuple[str, ...]) -> list[Check]:
    """The check, where topic or webhook are set."""
    return [Check(MODEL_EVENTS, lambda: _model_events(context), needs=needs)] if channels_of(context.settings) else []


def _model_events(context: CheckContext) -> Finding:
    topic = context.settings.model_events.topic
    if topic is not None and describe(context.kafka, topic)["error_code"]:
        return failed(
            f"topic {topic} is not there, or may not be seen", "make it, or have it permitted; one partition is enough"
        )
    channels = channels_of(context.settings)
    try:
        late, gone = look(context.settings.ledger.url, lambda ledger: (_late(ledger, channels), _gone(ledger)))
    except LedgerError:
        return ok(f"by {' and '.join(channels)}; the ledger cannot tell what waits")
    if late:
        return warning(f"events have been waiting for minutes: {', '.join(late)}", _LOG)
    if gone and Channel.WEBHOOK in channels:
        return warning(f"the webhook never got {gone} events", _LOG)
    return ok(f"by {' and '.join(channels)}; none waits for long")


def _late(ledger: Ledger, channels: list[Channel]) -> list[str]:
    """The channels for which an event has waited for long."""
    waiting = {channel: ledger.outbox.waiting(channel)[:1] for channel in channels}
    return [channel.value for channel, first in waiting.items() if first and time.time() - first[0].at > _LONG]


def _gone(ledger: Ledger) -> int:
    return ledger.outbox.given_up().events
