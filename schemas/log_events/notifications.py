"""Events about notifications: what is wrong, what people were told of it, and what could not be told."""

from __future__ import annotations

from schemas.log_events.event import REASON, LogEvent, begins, ends

ALERT_BEGINS = LogEvent(
    "an alert begins",
    "warning",
    "Something has been wrong for longer than RETRAINER_NOTIFICATIONS__SETTLE, and people are told.",
    alert="which, by its name in RETRAINER_NOTIFICATIONS__EVENTS",
    reason=REASON,
)
ALERT_OVER = LogEvent(
    "an alert is over",
    "info",
    "What was wrong has been well for longer than RETRAINER_NOTIFICATIONS__SETTLE, and people are told.",
    alert="which",
    after_s="seconds that it lasted",
)
NOTIFICATION_SENT = LogEvent(
    "notification sent",
    "info",
    "A channel has a message.",
    kind="what it is about",
    phase="`happened`, `begins`, `lasts` or `over`",
    id="the id of the message",
    channel="`webhook` or `chat`",
)
NOTIFICATIONS_NOT_SENT = begins(
    "notifications cannot be sent", "A channel does not take a message; messages wait in the ledger."
)
NOTIFICATIONS_SENT_AGAIN = ends("notifications are sent again", "The channel takes messages again.")
NOTIFICATIONS_GIVEN_UP = LogEvent(
    "notifications were given up",
    "error",
    "A channel has not taken messages for a day, and will not get them any more.",
    messages="how many",
    channel="`webhook` or `chat`",
    reason=REASON,
)
NOTIFICATIONS_NOT_WANTED = LogEvent(
    "a receiver wants no more notifications",
    "error",
    "The receiver answered 410 Gone. Nothing more is sent to it until the service starts again.",
    reason=REASON,
)
ONE_CHAT_LEFT_OUT = LogEvent(
    "a message did not get to every chat",
    "error",
    "Some of the chats have a message, and the others did not take it for minutes. Messages go on to those that do.",
    id="the id of the message",
    reason=REASON,
)
WATCH_TROUBLE = begins(
    "alerts cannot be looked for", "The ledger cannot be read, or not written; what can be seen without it is told."
)
WATCH_WORKS = ends("alerts are looked for again", "Ledger and status can be read again.")
HEARTBEAT_TROUBLE = begins(
    "the heartbeat cannot be sent", "RETRAINER_NOTIFICATIONS__HEARTBEAT does not answer; it is asked every minute."
)
HEARTBEAT_WORKS = ends("the heartbeat is sent again", "RETRAINER_NOTIFICATIONS__HEARTBEAT answers again.")
