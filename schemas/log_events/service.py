"""Events of the service around listener and cycles: its start and end, its counts, its ledger and its lease."""

from __future__ import annotations

from schemas.log_events.event import NEXT_TRY, REASON, LogEvent, begins, ends

CHANGES = LogEvent(
    "changes",
    "info",
    "The counts of what was read have changed. At most one line a second.",
    events="events read since this start",
    ignored="those of other groups",
    dead="those that became dead letters",
    pending="users that wait for a cycle",
    pending_labels="labels that wait for a cycle; only where labels are learned",
    lag="events that are still to be read; null while that is not known",
)
NOTHING_PENDING = LogEvent(
    "nothing is pending, nothing to train", "info", "An incremental cycle was asked for, and there is no change."
)
STOPPING = LogEvent("stopping", "info", "The service was asked to end.")
SERVICE_STOPPED = LogEvent("stopped", "info", "The service has ended in good order.")

# The machine
CLOCK_SET = LogEvent(
    "the machine's clock was set, or the machine slept",
    "warning",
    "Clock time and running time do not agree. Schedules are looked at again.",
    by_s="seconds by which the clock moved; negative where it was set back",
)
LEDGER_OR_DISK_TROUBLE = begins(
    "trouble with ledger or disk", "The ledger or the disk cannot be used. The service waits, and runs no cycles."
)
LEDGER_AND_DISK_WORK = ends("ledger and disk work again", "The service goes on.")
STATUS_NOT_WRITTEN = begins(
    "cannot write the status file", "The status lies in memory (`/dev/shm`) until the state folder can be written."
)
STATUS_WRITTEN_AGAIN = ends("the status file is written again", "The status lies in the state folder again.")
METRICS_LACK_LEDGER = begins(
    "metrics lack those of the ledger",
    "The ledger did not answer a scrape. What the process knows by itself is served.",
)
METRICS_READ_LEDGER = ends("metrics have those of the ledger again", "The ledger answers scrapes again.")
LEDGER_IN_OTHER_HANDS = LogEvent(
    "waiting for another process to bring the ledger up to date",
    "info",
    "Another process holds the ledger's lock while its tables have to be made or migrated. It is tried again for two "
    "minutes.",
    attempts="how often it was tried",
)
LEDGER_NOT_SAFE = LogEvent(
    "the connection to the ledger is not safe",
    "warning",
    "The connection to PostgreSQL does not check for certain who answers.",
    reason="what is missing, and what to set",
)
PROMISE_IN_DOUBT = LogEvent(
    "the freshness promise cannot always be kept",
    "warning",
    "Settings do not go together, or a cycle takes too long for them. Said at each start, a line for each.",
    reason="what breaks the promise or the budget, and the way out",
)

# The cluster
WAITING_FOR_CLUSTER = LogEvent(
    "waiting for the cluster",
    "info",
    "Hopsworks does not answer, and nothing is known from before. The service tries again.",
    reason=REASON,
    next_try_s=NEXT_TRY,
)
CLUSTER_AWAY = LogEvent(
    "the cluster is away, going on with its last answer",
    "warning",
    "Hopsworks does not answer. The service starts with the brokers and ids of an earlier start.",
    reason=REASON,
)

SERVICE_FAILED = LogEvent(
    "service failed",
    "error",
    "The service cannot start, or cannot go on, and ends with exit code 1.",
    reason=REASON,
)
ENDED_BY_AN_ERROR = LogEvent(
    "ended by an error that nobody expected",
    "error",
    "The process ends. The traceback says where; it is a fault of Retrainer's.",
)
THREAD_ENDED_BY_AN_ERROR = LogEvent(
    "a thread was ended by an error that nobody expected",
    "error",
    "A thread of the process has ended. The traceback says where; it is a fault of Retrainer's.",
    thread="the name of the thread",
)

# The instances of a ledger
INSTANCE_ID_NOT_KEPT = LogEvent(
    "cannot keep the id of this instance",
    "warning",
    "The state folder is not writable, so the instance has another id at each start.",
    file="where the id is kept",
    reason=REASON,
)
STATE_FOLDER_COPIED = LogEvent(
    "the state folder is a copy of another instance's, which runs too",
    "warning",
    "Two instances have copies of one state folder. Each counts as an instance of its own.",
    other="host and folder of the other instance",
)
STANDING_BY = LogEvent(
    "standing by",
    "info",
    "Another instance holds the lease, and this one watches.",
    runs_cycles="host and folder of the instance that holds the lease",
)
RUNNING_CYCLES = LogEvent(
    "running cycles",
    "info",
    "This instance has taken the lease.",
    token="the fencing token of the lease",  # noqa: S106  (no password)
)
TAKING_OVER = LogEvent(
    "taking over",
    "warning",
    "The instance that held the lease has been silent for too long.",
    from_instance="host and folder of the instance that held the lease",
    silent_s="seconds since this instance saw the last renewal",
)
LEASE_GIVEN_BACK = LogEvent(
    "the lease is given back: this instance cannot read, and another can",
    "warning",
    "This instance cannot read its topic, so another one should run cycles.",
)
LEASE_LOST = LogEvent(
    "another instance runs cycles now", "warning", "This instance has lost the lease, and stands by.", reason=REASON
)
SCHEDULE_MISSED = LogEvent(
    "a full retrain by schedule was missed, and is made up now",
    "warning",
    "No service ran when the schedule asked for a full retrain.",
    due="when the full retrain was due: UTC, ISO 8601",
    schedule="the crontab line",
)

# Vectors
VECTORS_PUBLISHED = LogEvent(
    "vectors published",
    "info",
    "The vectors of the champion are published: servers find them as the current set.",
    version="the champion",
    cycle_id="the last settled cycle, whose changes are in them; null where that is not known",
    users="users with vectors",
    computed="users whose vectors were computed; those of the others come from the set before",
    removed="users of the set before who are not in this one; null where that is not known",
    whole="whether nothing of the set before was used, as the towers or the folder are new",
    took_s="seconds that it took, with the start of the process",
)
VECTORS_NOT_PUBLISHED = begins(
    "vectors are not published", "The vectors of the champion could not be published. The set of before counts on."
)
VECTORS_WORK_AGAIN = ends("vectors are published again", "The published vectors are those of the champion.")
