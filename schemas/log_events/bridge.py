"""Events of `retrainer bridge`, and of the demo's simulator."""

from __future__ import annotations

from schemas.log_events.event import NEXT_TRY, REASON, LogEvent

_COMMIT = "the newest commit that the comparison covers"
_TOPIC = "the topic of the changes"
_USERS = "users in the snapshot; only for a group of users"
_LABELS = "labels in the snapshot; only for a group of labels"
_SECONDS = "seconds that the comparison took"

BRIDGE_STARTED = LogEvent(
    "bridge started",
    "info",
    "The bridge begins to watch a feature group.",
    group="the feature group",
    version="its version",
    topic=_TOPIC,
)
BRIDGE_STOPPED = LogEvent("bridge stopped", "info", "The bridge has ended in good order.")
BRIDGE_INTERRUPTED = LogEvent(
    "stopped in the middle of a request; the next start goes on from there",
    "info",
    "The bridge was asked to end, and does not wait for the answer of the cluster.",
)
NO_COMMITS = LogEvent("the group has no commits yet", "info", "The bridge waits for the first commit.")
FIRST_COMPARISON = LogEvent(
    "first comparison",
    "info",
    "The bridge reads the first snapshot.",
    commit=_COMMIT,
    publishes="whether everybody in the snapshot is published as a change",
)
BASELINE_TAKEN = LogEvent(
    "baseline taken",
    "info",
    "The first snapshot is read. The bridge publishes what changes from now on.",
    commit=_COMMIT,
    users=_USERS,
    labels=_LABELS,
    seconds=_SECONDS,
)
COMPARED = LogEvent(
    "compared",
    "info",
    "A snapshot was compared with the one before, and what changed was published.",
    commit=_COMMIT,
    users=_USERS,
    labels=_LABELS,
    changed="how many were added or changed",
    deleted="how many were deleted",
    seconds=_SECONDS,
)
NOBODY_IN_SNAPSHOT = LogEvent(
    "the first snapshot held nobody; is the query service well?",
    "warning",
    "The group has commits, and its snapshot is empty.",
    commit=_COMMIT,
)
ROWS_WITHOUT_KEY = LogEvent(
    "rows without a user id are left out",
    "warning",
    "Rows of the snapshot have no key.",
    rows="how many rows",
    key="the columns of the key",
)
DELETES_HELD = LogEvent(
    "deletes held back",
    "error",
    "A larger share is gone than is believed. Changes are published, deletes are not.",
    reason="the figure and the limit",
    what_to_do="the way out",
)
BRIDGE_TROUBLE = LogEvent(
    "trouble, trying again",
    "warning",
    "The cluster, the brokers or the disk failed. The bridge tries again.",
    reason=REASON,
    next_try_s=NEXT_TRY,
)
BRIDGE_RECOVERED = LogEvent(
    "the trouble is over", "info", "A look succeeded after one that failed.", failures="how many failures there were"
)
TOPIC_CREATED = LogEvent(
    "the topic is missing and is created; if it was there before, events in it may not have been learned: run "
    "`retrainer train --full`",
    "warning",
    "The bridge knows of a baseline, and its topic is gone.",
    topic=_TOPIC,
)
TOPIC_BEFORE_BASELINE = LogEvent(
    "the topic is there before the baseline; if the service has trained already, run `retrainer train --full` once the "
    "baseline is taken",
    "warning",
    "Changes between the service's training and the baseline are not published.",
    topic=_TOPIC,
)
SECOND_WRITER = LogEvent(
    "somebody else writes to the bridge's topic; is a second bridge running? Every change comes twice then",
    "error",
    "Between the bridge's own records there are others.",
    topic=_TOPIC,
    records="how many records of others",
)

# The simulator
NO_MORE_WAVES = LogEvent("the listeners have no more waves", "info", "All that the listeners do has been published.")
WAITING_FOR_KAFKA = LogEvent(
    "waiting for Kafka",
    "warning",
    "The simulator's events are not acknowledged. The simulator tries again.",
    reason=REASON,
    next_try_s=NEXT_TRY,
)
