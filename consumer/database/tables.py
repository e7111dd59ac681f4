"""The ledger's tables. Times are seconds since the epoch; offsets are Kafka's."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    false,
)

from consumer.database.dialect import FreeText

SCHEMA_VERSION = 9
PENDING = ""
"""The cycle id of what no cycle has claimed."""
RUNNING = "running"
"""The state of a cycle that has not ended."""

metadata = MetaData()

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

# The id that tells this ledger from others; one row, made with the ledger.
identity = Table(
    "identity",
    metadata,
    Column("ledger_id", String, primary_key=True),
    # A new version gets a higher number: after a restore, versions may have been served that the ledger does not know.
    Column("min_version_exclusive", Integer, nullable=False, server_default="0"),
)

offsets = Table(
    "offsets",
    metadata,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("next_offset", BigInteger, nullable=False),  # the first that is not stored yet
    Column("settled_offset", BigInteger, nullable=False),  # the first that no registered version has learned
    Column("events", BigInteger, nullable=False, default=0),
    Column("ignored", BigInteger, nullable=False, default=0),
    Column("updated_at", Float, nullable=False),
    Column("topic_id", String),  # tells a recreated topic from the one that was read
    Column("leader_epoch", Integer),  # of the record before `next_offset`: shows that a log was cut off
)

# Events that are none of ours. There are only so many reasons.
ignored = Table(
    "ignored",
    metadata,
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True),
    Column("reason", String, primary_key=True),
    Column("events", BigInteger, nullable=False),
)


def _changes_of(name: str, key: str) -> Table:
    """One row for a user or a label in each of its portions: the open one, and the one that a cycle has claimed."""
    return Table(
        name,
        metadata,
        Column("portion", Integer, primary_key=True, autoincrement=False),
        Column(key, String, primary_key=True),
        Column("operation", String, nullable=False),
        Column("events", BigInteger, nullable=False),
        Column("first_position", String, nullable=False),
        Column("last_position", String, nullable=False),
        Column("first_event_at", Float, nullable=False),
        Column("last_event_at", Float, nullable=False),
        Column("fresh_since", Float, nullable=False),  # when the oldest event arrived that no cycle has tried
        Column("received_at", Float, nullable=False),  # when the last event arrived, by our clock
        Column("tried", Boolean, nullable=False, default=False),  # given back by a cycle that settled nothing
        Column("learned_by", String),  # the cycle of a version that has learned it, and is not the champion
    )


def _learned_of(name: str, key: str) -> Table:
    """The last settled change of each user or label, and the cycle that settled it.

    A store's bulk copy may lag behind the newest of them, a rollback makes them pending again, and `retrainer explain`
    tells them. Up to schema 7 there were only key and time.
    """
    return Table(
        name,
        metadata,
        Column(key, String, primary_key=True),
        Column("received_at", Float, nullable=False, index=True),  # when the last event arrived, by our clock
        Column("operation", String),
        Column("events", BigInteger),
        Column("first_position", String),
        Column("last_position", String),
        Column("first_event_at", Float),
        Column("last_event_at", Float),
        Column("cycle_id", String, index=True),
    )


def _refused_of(name: str, key: str) -> Table:
    """Users or labels that were read and not learned, as their rows are unfit; neither pending nor forgotten."""
    return Table(
        name,
        metadata,
        Column(key, String, primary_key=True),
        Column("reason", FreeText, nullable=False),
        Column("since", Float, nullable=False),
        Column("last_at", Float, nullable=False),
        Column("times", BigInteger, nullable=False),  # how many cycles have refused it
        Column("cycle_id", String, nullable=False),  # the last of them
    )


changes = _changes_of("changes", "user_id")
learned = _learned_of("learned", "user_id")
refused_users = _refused_of("refused_users", "user_id")
label_changes = _changes_of("label_changes", "pair")  # `schemas.labels.pair_text`
learned_labels = _learned_of("learned_labels", "pair")
refused_labels = _refused_of("refused_labels", "pair")

# What is pending is the open portion; a cycle claims it whole, by one row here. The figures are those of its rows, kept
# in the transactions that change them. A portion of a settled cycle is gone; its rows are deleted piece by piece.
portions = Table(
    "portions",
    metadata,
    Column("kind", String, primary_key=True),  # users or labels
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("cycle_id", String, nullable=False),  # empty: the open portion
    Column("rows", BigInteger, nullable=False, default=0),
    Column("untried", BigInteger, nullable=False, default=0),
    Column("first_event_at", Float),
    Column("last_event_at", Float),
    Column("fresh_since", Float),  # the earliest, of those not tried
    Column("received_at", Float),  # the latest, of those not tried
)
Index("portions_of_a_cycle", portions.c.cycle_id)

cycles = Table(
    "cycles",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("cycle_id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("state", String, nullable=False),  # running, or an outcome
    Column("base_version", Integer),
    Column("anchor_version", Integer),
    Column("lineage", JSON, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("claimed_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("known_users", Integer),  # how many users there were, as far as the cycle found out
    Column("result", JSON),
    Column("accept", JSON),  # limits of the guard that an operator has waived
    # Its claim has left the ledger: the champion answers for it. A rollback and a promotion by a person change that.
    Column("settled", Boolean, nullable=False, default=False, server_default=false()),
    Column("known_labels", Integer),  # how many labels between known users there were, as `known_users`
    Column("last_error", FreeText),  # why the last attempt failed that was tried again
    Column("forgotten", Boolean, nullable=False, server_default=false()),  # it settled changes that nobody has noted
)
Index("cycles_of_a_kind", cycles.c.kind, cycles.c.number)
Index("cycles_for_a_reason", cycles.c.reason, cycles.c.kind, cycles.c.number)
Index("cycles_of_a_state", cycles.c.state, cycles.c.kind, cycles.c.number)
Index("cycles_settled", cycles.c.settled, cycles.c.number)

versions = Table(
    "versions",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("cycle_id", String, nullable=False, unique=True),
    Column("registered_at", Float, nullable=False),
    Column("not_promoted", FreeText),  # why it did not become champion when its cycle ended
    Column("withdrawn", Boolean, nullable=False, server_default=false()),  # by a rollback: no challenger is held to it
    Column("deleted_at", Float),  # by retention: nobody may use it from now on
    Column("freed_bytes", BigInteger),  # in the registry, which says that it is gone; NULL while it may be there
)

# The history of the champion pointer; the last row is the champion.
promotions = Table(
    "promotions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("version", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("action", String, nullable=False, server_default="cycle"),  # `schemas.promotions.PromotionAction`
    Column("by", FreeText),  # a person; NULL: the cycle that registered it
    Column("previous", Integer),  # the champion before
    Column("hold_down_until", Float),  # of a rollback: what it gave back is not promoted by itself before
)
Index("promotions_of_an_action", promotions.c.action, promotions.c.number)
Index("promotions_of_a_version", promotions.c.version, promotions.c.number)

# What persons have ordered, beside promotions: the last of `pin` and `unpin` counts, and of `pause` and `resume`.
interventions = Table(
    "interventions",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("action", String, nullable=False),  # `schemas.promotions.InterventionAction`
    Column("at", Float, nullable=False),
    Column("by", FreeText, nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("version", Integer),  # the pinned one
)
Index("interventions_of_an_action", interventions.c.action, interventions.c.number)

# Model events that wait for their topic and webhook, written in the transaction that they tell of.
outbox = Table(
    "outbox",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("event", JSON, nullable=False),  # `schemas.model_events`
    Column("at", Float, nullable=False),
    Column("sent_to_topic", Boolean, nullable=False, server_default=false()),
    Column("sent_to_webhook", Boolean, nullable=False, server_default=false()),
    Column("last_error", FreeText),
)
Index("outbox_for_the_topic", outbox.c.sent_to_topic, outbox.c.number)
Index("outbox_for_the_webhook", outbox.c.sent_to_webhook, outbox.c.number)

# How the service was, a row a minute, for the page and for the freshness promise; old rows go.
samples = Table(
    "samples",
    metadata,
    Column("minute", BigInteger, primary_key=True, autoincrement=False),  # minutes since the epoch
    Column("figures", JSON, nullable=False),  # `schemas.watching.samples`
)

# What was found wrong and told, and is not over: one row for each kind of alert. So a restart repeats nothing.
alerts = Table(
    "alerts",
    metadata,
    Column("name", String, primary_key=True),  # `schemas.watching.notifications.AlertName`
    Column("since", Float, nullable=False),  # by the wall clock of the instance that found it
    Column("told_at", Float, nullable=False),  # when it was last put into `notifications`
    Column("summary", FreeText, nullable=False),
)

# Messages to people that wait for their channels, or went; the newest stay.
notifications = Table(
    "notifications",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("message_id", String, nullable=False, unique=True),  # so that the same news are told once
    Column("message", JSON, nullable=False),  # `schemas.watching.notifications`
    Column("at", Float, nullable=False),
    Column("sent_to_webhook", Boolean, nullable=False, server_default=false()),
    Column("sent_to_chat", Boolean, nullable=False, server_default=false()),
    Column("last_error", FreeText),
)
Index("notifications_for_the_webhook", notifications.c.sent_to_webhook, notifications.c.number)
Index("notifications_for_the_chat", notifications.c.sent_to_chat, notifications.c.number)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("topic", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("event_at", Float, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", JSON, nullable=False),  # [[name, base64 or null], ...]; {name: base64} up to schema 2
    Column("stage", String, nullable=False),
    Column("reason", FreeText, nullable=False),
    Column("at", Float, nullable=False),
    Column("status", String, nullable=False, server_default="open"),  # open, replayed or discarded
    Column("settled_at", Float),
    Column("settled_reason", FreeText),
    Column("published", Boolean, nullable=False, server_default=false()),  # copied to the dead-letter topic
    Column("digest", String, nullable=False),  # of the record as it came
    Column("record_time", BigInteger),  # the record's own time; NULL where an earlier release kept only ours
    Column("topic_id", String, nullable=False),  # empty where that was not known
    # A recreated topic, or a log that was cut off, has the same offsets again; a producer that sets times
    # itself may repeat them, too. The same record read again is the same letter.
    UniqueConstraint("topic", "partition", "offset", "record_time", "digest", "topic_id", name="dead_letters_once"),
)

Index("dead_letters_of_a_status", dead_letters.c.status, dead_letters.c.id)
Index("dead_letters_to_publish", dead_letters.c.published, dead_letters.c.id)

# Requests for a cycle: of an operator, the schedule or a trainer. No cycle has taken up those without a `cycle_id`.
retrain_requests = Table(
    "retrain_requests",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("kind", String, nullable=False),
    Column("by", String, nullable=False),  # operator, schedule or trainer
    Column("at", Float, nullable=False),
    Column("cycle_id", String),
    Column("accept", JSON),  # limits of the guard that are waived for the cycle that takes it up
    Column("why", FreeText),  # a trainer's reason for a full retrain; a schedule's crontab line
)

Index("retrain_requests_open", retrain_requests.c.cycle_id)

# How the champion answered for pending changes.
probes = Table(
    "probes",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("version", Integer),  # none: the probe failed
    Column("changes", Integer, nullable=False),
    Column("regret", Float),
    Column("error", Float),
    Column("told", FreeText, nullable=False),
    Column("after_cycle", Integer),  # the last cycle that had ended then; 0 before the first
)

replays = Table(
    "replays",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("ranges", JSON, nullable=False),  # `schemas.spans.OffsetSpans`; one range a partition up to schema 5
    Column("events", BigInteger, nullable=False),
    Column("users", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("cycle_id", String, nullable=False, default=PENDING),
    Column("labels", Integer, nullable=False, server_default="0"),
    Column("replay_id", String),  # of a window, so that a resumed replay is stored once; none of dead letters
    Column("request", Integer),  # the number in `retrain_requests`
    Column("told", JSON),  # the request, and what it found, for people
    Index("replays_once", "replay_id", unique=True),
)

# Offsets that were skipped unread. Where a topic was recreated, `to_offset` may be the smaller one.
gaps = Table(
    "gaps",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("topic", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("from_offset", BigInteger, nullable=False),
    Column("to_offset", BigInteger, nullable=False),
    Column("at", Float, nullable=False),
    Column("reason", FreeText, nullable=False),
)

# The instance that may run cycles. Times are for people: candidates judge expiry, each by its own clock.
leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),  # the id of an instance; empty: free
    Column("token", BigInteger, nullable=False),
    Column("renewals", BigInteger, nullable=False),
    Column("renewed_at", Float, nullable=False),
    Column("holder_name", FreeText),  # for people
)

# How each service is, by its own report. A silent service shows by its `beats`, whatever the clocks say.
instances = Table(
    "instances",
    metadata,
    Column("instance_id", String, primary_key=True),
    Column("pid", Integer, nullable=False),
    Column("host", FreeText, nullable=False),
    Column("state", JSON, nullable=False),
    Column("seen_at", Float, nullable=False),  # by its own clock, for people
    Column("name", FreeText),  # for people
    Column("beats", BigInteger, nullable=False, server_default="0"),  # grows with each report
    Column("heard_at", Float),  # by the clock of the ledger
)
