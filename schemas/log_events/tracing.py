"""Events of traces: what the collector does not get."""

from __future__ import annotations

from schemas.log_events.event import LogEvent, begins, ends

TRACES_NOT_SENT = begins(
    "traces cannot be sent", "The collector does not take the trace of a cycle. No cycle waits for that."
)
TRACES_SENT_AGAIN = ends("traces are sent again", "The collector takes traces again.")
TRACES_GIVEN_UP = LogEvent(
    "traces were given up",
    "warning",
    "The collector has not taken traces for an hour, and does not get those of these cycles any more. `retrainer show` "
    "tells the same of a cycle.",
    cycles="how many",
    reason="why, in words; null where the service did not run in the meantime",
)
