"""Events about model events: what was told of versions, and what could not be."""

from __future__ import annotations

from schemas.log_events.event import REASON, LogEvent, begins, ends

MODEL_EVENT_SENT = LogEvent(
    "model event sent",
    "info",
    "The topic or the webhook has an event of a version.",
    type="what happened, as the `type` of the event has it",
    version="the version; null where the event is about none",
    cycle_id="the cycle that made the version, or that ended so; null where that is not known",
    id="the id of the event",
    channel="`topic` or `webhook`",
)
MODEL_EVENTS_NOT_SENT = begins(
    "model events cannot be sent", "The topic or the webhook does not take an event; events wait in the ledger."
)
MODEL_EVENTS_SENT_AGAIN = ends("model events are sent again", "The topic or the webhook takes events again.")
MODEL_EVENTS_GIVEN_UP = LogEvent(
    "model events were given up",
    "error",
    "The webhook has not taken events for three days, and will not get them any more.",
    events="how many",
    reason=REASON,
)
WEBHOOK_GONE = LogEvent(
    "the webhook wants no more model events",
    "error",
    "The receiver answered 410 Gone. Nothing more is sent to it until the service starts again.",
    reason=REASON,
)
OUTBOX_NOT_TRIMMED = LogEvent(
    "old model events cannot be deleted", "warning", "The ledger refused; it is tried again later.", reason=REASON
)
