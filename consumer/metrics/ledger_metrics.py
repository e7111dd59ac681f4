"""Metrics of the ledger: the same at every instance."""

from __future__ import annotations

from typing import get_args

from consumer.dead_letters.letter import Status as LetterStatus
from consumer.freshness.verdict import FreshnessState
from consumer.ledger.outbox import Channel
from consumer.ledger.watching.notifications import Channel as MessageChannel
from consumer.metrics.metric import Kind, Label, Metric, Source
from schemas.cycle import CycleKind, Metrics, Outcome, RefusedKind, Step
from schemas.guard import GuardName
from schemas.stores.calls import Call, CalledAt, CallOutcome

_LEDGER, _SINCE = Source.LEDGER, Source.LEDGER_SINCE_START

OUTCOMES = tuple(one.value for one in Outcome if one is not Outcome.PROBED)
CHAMPION_LIMIT = "champion"
"""Beside the guard's limits: a cycle is held, too, where its champion cannot be had."""
IGNORED_REASONS = (
    "another feature store",
    "another feature group",
    "another version of the feature group",
    "a row for the offline store only",
)

_WHAT = Label("what", ("users", "labels"))
_KIND = Label("kind", tuple(CycleKind))
_LIMIT = Label("limit", (*GuardName, CHAMPION_LIMIT))

# Changes
OLDEST = Metric(
    "retrainer_oldest_pending_seconds",
    Kind.GAUGE,
    _LEDGER,
    "Age of the oldest change that the champion has not learned, since it arrived; 0 where it has learned all.",
    "seconds",
)
PENDING = Metric(
    "retrainer_pending",
    Kind.GAUGE,
    _LEDGER,
    "Users or labels whose last change the champion has not learned, those of a running cycle included.",
    labels=(_WHAT,),
)
UNTRIED = Metric(
    "retrainer_untried", Kind.GAUGE, _LEDGER, "Of those, the ones that no cycle has tried.", labels=(_WHAT,)
)
EVENTS = Metric("retrainer_events_total", Kind.COUNTER, _LEDGER, "Events read since the ledger began.")
IGNORED = Metric(
    "retrainer_ignored_events_total",
    Kind.COUNTER,
    _LEDGER,
    "Of these, events that are none of ours, by reason.",
    labels=(Label("reason", IGNORED_REASONS),),
)
DEAD_LETTERS = Metric(
    "retrainer_dead_letters",
    Kind.GAUGE,
    _LEDGER,
    "Records that could not be understood: `open` until a person replays or discards them.",
    labels=(Label("status", get_args(LetterStatus)),),
)
GAPS = Metric(
    "retrainer_open_gaps", Kind.GAUGE, _LEDGER, "Gaps of unread events that no training from scratch has made good."
)

# The freshness promise
FRESHNESS = Metric(
    "retrainer_freshness",
    Kind.GAUGE,
    _LEDGER,
    "How it stands with the freshness promise: 1 for the state that it is in, 0 for the others; `none` is promised.",
    labels=(Label("state", tuple(FreshnessState)),),
)
FRESHNESS_TARGET = Metric(
    "retrainer_freshness_target_seconds",
    Kind.GAUGE,
    _LEDGER,
    "The promise: a change is learned at the latest so long after it arrived; absent where none is made.",
    "seconds",
)
FRESHNESS_FORECAST = Metric(
    "retrainer_freshness_forecast_seconds",
    Kind.GAUGE,
    _LEDGER,
    "Until the oldest change is learned, as far as can be foreseen.",
    "seconds",
)
FRESHNESS_KEPT = Metric(
    "retrainer_freshness_kept_ratio",
    Kind.GAUGE,
    _LEDGER,
    "Of the minutes of the last day or week that are known, the share in which the promise was kept.",
    "ratio",
    (Label("window", ("day", "week")),),
)
FRESHNESS_OBJECTIVE = Metric(
    "retrainer_freshness_objective_ratio",
    Kind.GAUGE,
    _LEDGER,
    "The share of minutes in which the promise is meant to be kept.",
    "ratio",
)
FRESHNESS_BUDGET = Metric(
    "retrainer_freshness_error_budget_left_ratio",
    Kind.GAUGE,
    _LEDGER,
    "Of the minutes of seven days that may break the promise, the share that is left; below 0 once it is overdrawn.",
    "ratio",
)

TRAINING = Metric(
    "retrainer_training_seconds",
    Kind.GAUGE,
    _LEDGER,
    "How long cycles have run in the last 24 hours.",
    "seconds",
)
TRAINING_BUDGET = Metric(
    "retrainer_training_budget_seconds",
    Kind.GAUGE,
    _LEDGER,
    "How long they may before none starts by itself; absent where there is no budget.",
    "seconds",
)

# Cycles
CYCLES = Metric(
    "retrainer_cycles_total",
    Kind.COUNTER,
    _LEDGER,
    "Cycles that have ended, by kind and outcome.",
    labels=(_KIND, Label("outcome", OUTCOMES)),
)
RUNNING = Metric(
    "retrainer_running_cycles", Kind.GAUGE, _LEDGER, "Cycles under way, by kind: at most one.", labels=(_KIND,)
)
ATTEMPTS = Metric(
    "retrainer_failed_attempts", Kind.GAUGE, _LEDGER, "Failed attempts at the cycle under way; 0 where none is."
)
FAILED_IN_A_ROW = Metric(
    "retrainer_failed_cycles_in_a_row", Kind.GAUGE, _LEDGER, "Cycles that failed one after another, up to now."
)
REJECTED_IN_A_ROW = Metric(
    "retrainer_rejected_cycles_in_a_row", Kind.GAUGE, _LEDGER, "Cycles rejected since one has settled its claim."
)
HELD = Metric(
    "retrainer_held",
    Kind.GAUGE,
    _LEDGER,
    "1 for each limit of the guard for which the last cycle is held, and for `champion` where that cannot be had: a "
    "person has to look.",
    labels=(_LIMIT,),
)
HELD_CYCLES = Metric(
    "retrainer_held_cycles_total", Kind.COUNTER, _SINCE, "Cycles that were held, by limit.", labels=(_LIMIT,)
)
PAUSED = Metric("retrainer_paused", Kind.GAUGE, _LEDGER, "Whether a person has paused cycles.")
PINNED = Metric("retrainer_pinned", Kind.GAUGE, _LEDGER, "Whether a person has pinned the champion.")
CYCLE_SECONDS = Metric(
    "retrainer_cycle_duration_seconds",
    Kind.HISTOGRAM,
    _SINCE,
    "From the claim of a cycle to its end, all attempts included, by kind.",
    "seconds",
    (_KIND,),
    (5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400),
)
STEP_SECONDS = Metric(
    "retrainer_step_duration_seconds",
    Kind.HISTOGRAM,
    _SINCE,
    "How long each step took in the attempt that ended the cycle.",
    "seconds",
    (Label("step", tuple(Step)),),
    (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
LAST_CYCLE_AT = Metric(
    "retrainer_last_cycle_timestamp_seconds", Kind.GAUGE, _LEDGER, "When the last cycle ended.", "seconds"
)
INSTANCES = Metric("retrainer_instances", Kind.GAUGE, _LEDGER, "Instances that have reported to the ledger lately.")

# Data
KNOWN = Metric("retrainer_known", Kind.GAUGE, _LEDGER, "Users or labels that the last cycle knew.", labels=(_WHAT,))
REFUSED = Metric(
    "retrainer_refused", Kind.GAUGE, _LEDGER, "Users or labels whose rows are unfit for use now.", labels=(_WHAT,)
)
REFUSED_ROWS = Metric(
    "retrainer_refused_rows_total",
    Kind.COUNTER,
    _SINCE,
    "Rows that cycles have read and refused, by the kind of reason.",
    labels=(_WHAT, Label("reason", tuple(RefusedKind))),
)

# Models
CHAMPION = Metric(
    "retrainer_champion_info",
    Kind.INFO,
    _LEDGER,
    "The version that answers now; always 1, and absent before the first version.",
    labels=(Label("version", bounded_by="one champion at a time"),),
)
FIGURE = Metric(
    "retrainer_figure",
    Kind.GAUGE,
    _LEDGER,
    "A figure as the gate saw it last, on held-out users: of the champion, and of the last challenger.",
    labels=(Label("model", ("champion", "challenger")), Label("figure", tuple(Metrics.model_fields))),
)
VERSIONS = Metric(
    "retrainer_versions",
    Kind.GAUGE,
    _LEDGER,
    "Registered versions: `kept` in the registry, or `deleted` from it by retention.",
    labels=(Label("state", ("kept", "deleted")),),
)
LAST_VERSION_AT = Metric(
    "retrainer_last_version_timestamp_seconds",
    Kind.GAUGE,
    _LEDGER,
    "When the last version was registered; absent before the first one.",
    "seconds",
)
CALL_SECONDS = Metric(
    "retrainer_call_duration_seconds",
    Kind.SUMMARY,
    _SINCE,
    "Calls of feature store, label store and registry by cycles that have ended: how many, and how long they took.",
    "seconds",
    (Label("where", tuple(CalledAt)), Label("call", tuple(Call)), Label("outcome", tuple(CallOutcome))),
)
EVENTS_WAITING = Metric(
    "retrainer_model_events_waiting",
    Kind.GAUGE,
    _LEDGER,
    "Model events that wait for a channel that is set.",
    labels=(Label("channel", tuple(Channel)),),
)
EVENTS_GIVEN_UP = Metric(
    "retrainer_model_events_given_up", Kind.GAUGE, _LEDGER, "Model events, of those still kept, that no webhook took."
)

MESSAGES_WAITING = Metric(
    "retrainer_notifications_waiting",
    Kind.GAUGE,
    _LEDGER,
    "Messages to people that wait for a channel that is set.",
    labels=(Label("channel", tuple(MessageChannel)),),
)
MESSAGES_FAILING = Metric(
    "retrainer_notifications_failing",
    Kind.GAUGE,
    _LEDGER,
    "Whether a channel that is set did not take the oldest message that waits for it.",
    labels=(Label("channel", tuple(MessageChannel)),),
)

LEDGER_BYTES = Metric("retrainer_ledger_size_bytes", Kind.GAUGE, _LEDGER, "What the ledger takes on disk.", "bytes")

METRICS = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
