"""Events of the listener: the connection to Kafka, what is read, and dead letters."""

from __future__ import annotations

from schemas.log_events.event import NEXT_TRY, REASON, LogEvent, begins, ends

_POSITION = "topic, partition and offset, as `topic[partition]@offset`"

# The connection
WAITING_FOR_BROKER = LogEvent(
    "waiting for broker",
    "info",
    "No broker can be reached, or the topic is not there yet. The listener tries again.",
    servers="the addresses from the settings",
    reason=REASON,
    next_try_s=NEXT_TRY,
)
BROKER_NOT_REACHED = LogEvent(
    "cannot connect to a broker", "warning", "A connection to one broker failed; others may work.", reason=REASON
)
TOKEN_NOT_RENEWED = LogEvent(
    "the token is not renewed yet",
    "warning",
    "The endpoint gave no new OAuth token. The present token is used until it expires.",
    reason=REASON,
    good_for_s="seconds until the present token expires",
)
RECONNECTING = LogEvent(
    "reconnecting",
    "error",
    "The Kafka client failed in a way that does not pass. A new client reads on from the ledger's offsets.",
    reason=REASON,
    next_try_s=NEXT_TRY,
)
CLIENT_NOT_CLOSED = LogEvent(
    "client not closed in good order", "warning", "A client failed while the listener left the group.", reason=REASON
)
LISTENER_FAILED = LogEvent("listener failed", "error", "The listener cannot go on. The service ends with an error.")
POLL_FAILED = LogEvent(
    "poll failed", "warning", "A poll failed for a new reason. The listener polls on.", reason=REASON
)
POLLING_AGAIN = LogEvent("polling again", "info", "A poll succeeded after one that failed.")
COMMITS_REFUSED = LogEvent(
    "the broker does not take commits",
    "warning",
    "The copy of the offsets in Kafka falls behind. The ledger's offsets, which count, move on.",
    reason=REASON,
)
COMMITS_TAKEN = LogEvent("the broker takes commits again", "info", "The copy of the offsets in Kafka is current again.")
LAST_COMMIT_FAILED = LogEvent(
    "last commit failed",
    "debug",
    "The commit before the listener left the group failed; nothing is lost.",
    reason=REASON,
)

# Partitions and the group
PARTITIONS_ASSIGNED = LogEvent(
    "partitions assigned", "info", "The group gave partitions to this instance.", partitions="those that came"
)
PARTITIONS_GONE = LogEvent(
    "partitions gone", "info", "The group took partitions from this instance.", partitions="those that went"
)
PARTITIONS_NOT_PLACED = LogEvent(
    "cannot place partitions yet",
    "warning",
    "The listener cannot seek to the ledger's offsets. It tries again after a second.",
    reason=REASON,
)
OTHERS_READ_OUR_TOPIC = begins(
    "others read our topic", "A member of the consumer group is no instance of this ledger, and reads events of ours."
)
NOBODY_ELSE_READS = ends(
    "nobody else reads our topic any more", "All members of the consumer group are instances of this ledger again."
)
GROUP_NOT_SEEN = LogEvent(
    "cannot look at the consumer group", "debug", "The broker did not describe the consumer group.", reason=REASON
)

# What is read
READING_PAUSES = LogEvent(
    "reading pauses", "warning", "Nothing is fetched for now. Polling, and so membership, goes on.", reason=REASON
)
READING_STAYS_PAUSED = LogEvent(
    "reading stays paused", "info", "One of several reasons to pause is over.", over="the reason that is over"
)
READING_GOES_ON = LogEvent(
    "reading goes on", "info", "The last reason to pause is over.", over="the reason that is over"
)
BATCH_NOT_STORED = LogEvent(
    "batch not stored, reading again from the ledger's offsets",
    "error",
    "The offsets in the ledger are not where this instance expected them: somebody else has moved them.",
    reason=REASON,
)
LEDGER_REFUSES_CHANGES = begins(
    "ledger does not take changes", "The ledger refuses what was read. Reading waits; the topic keeps the events."
)
LEDGER_TAKES_CHANGES = ends("ledger takes changes again", "The ledger stores what is read again.")
GAP = LogEvent(
    "gap in the topic",
    "error",
    "Records that were not read are gone. A dead letter of stage `gap` records it; reading goes on behind the gap.",
    position=f"the first offset that is missing: {_POSITION}",
    goes_on_at="the offset at which reading goes on",
    reason=f"{REASON}, with what to do",
)
GAP_NOT_RECORDED = LogEvent(
    "cannot record the gap yet", "warning", "The broker or the ledger did not answer. It is tried again.", reason=REASON
)
NO_GAP = LogEvent(
    "offset is there after all",
    "warning",
    "The broker called an offset missing and then had it. Reading goes on there.",
    position=_POSITION,
)
RECORD_UNREADABLE = LogEvent(
    "the broker cannot read a record",
    "error",
    "A record is damaged on the broker's disk. A dead letter of stage `fetch` records it; reading goes on behind it.",
    position=_POSITION,
    reason=REASON,
)
NOTHING_IS_OURS = LogEvent(
    "nothing that comes is ours",
    "warning",
    "None of many events in a row is of the feature group. Repeated once an hour.",
    reason="what came instead, and what to look at",
)
TIMES_IN_ANOTHER_UNIT = LogEvent(
    "record times are in another unit",
    "warning",
    "Records have times in seconds, microseconds or nanoseconds. Repeated once an hour.",
    reason="how many records of which topic, and what to do",
)

# Dead letters
DEAD_LETTER = LogEvent(
    "dead letter",
    "warning",
    "A record cannot be understood. The ledger keeps it. The first five of a second have a line each.",
    position=_POSITION,
    reason=REASON,
)
DEAD_LETTERS = LogEvent(
    "dead letters",
    "warning",
    "The dead letters of a second that had no line of their own.",
    more="how many there were",
    last=f"the last one: {_POSITION}",
    reason="why the last one cannot be understood",
)
TOO_MANY_DEAD_LETTERS = LogEvent(
    "too many dead letters",
    "error",
    "There is no room for more dead letters. Reading pauses until there is.",
    open="open letters in the ledger",
    megabytes="megabytes that the ledger keeps of open letters",
    arrived="letters that do not fit",
    limit="most letters that may be open",
    limit_megabytes="most megabytes that may be kept",
    todo="the way out",
)
DEAD_LETTERS_NOT_COUNTED = LogEvent(
    "cannot count the dead letters", "warning", "The ledger did not answer. Reading stays paused.", reason=REASON
)
DEAD_LETTERS_NOT_COPIED = LogEvent(
    "dead letters cannot be copied to their topic; they wait in the ledger",
    "warning",
    "The topic for dead letters, or its brokers, are away. Copying is tried again. Logged once.",
    topic="the topic for dead letters",
    reason=REASON,
)
DEAD_LETTERS_COPIED = LogEvent(
    "dead letters are copied to their topic again",
    "info",
    "The topic for dead letters takes them again.",
    topic="the topic for dead letters",
)
