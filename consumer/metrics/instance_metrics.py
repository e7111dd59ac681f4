"""Metrics of this process: what it knows by itself, also while the ledger does not answer."""

from __future__ import annotations

from consumer.listener.state import ListenerState
from consumer.metrics.metric import Kind, Label, Metric, Source
from consumer.status import ServiceState

_HERE = Source.INSTANCE

STATES = tuple(dict.fromkeys((*map(str, ServiceState), *map(str, ListenerState))))

BUILD = Metric(
    "retrainer_build_info",
    Kind.INFO,
    _HERE,
    "The release of Retrainer that runs; always 1.",
    labels=(Label("version", bounded_by="one at a time"), Label("python", bounded_by="one at a time")),
)
STATE = Metric(
    "retrainer_state",
    Kind.GAUGE,
    _HERE,
    "How the service is, in the words of `retrainer status`: 1 for the state that it is in, 0 for the others.",
    labels=(Label("state", STATES),),
)
STATUS_AT = Metric(
    "retrainer_status_timestamp_seconds",
    Kind.GAUGE,
    _HERE,
    "When the service last told how it is; it does so every second, unless its main thread hangs.",
    "seconds",
)
POLLED_AT = Metric(
    "retrainer_last_poll_timestamp_seconds",
    Kind.GAUGE,
    _HERE,
    "When the listener last polled, or last tried to reach the broker.",
    "seconds",
)
READS = Metric(
    "retrainer_listener_reads",
    Kind.GAUGE,
    _HERE,
    "Whether the listener can read its topic: 0 while the broker is away, or the ledger does not take changes.",
)
CAUGHT_UP = Metric(
    "retrainer_listener_caught_up",
    Kind.GAUGE,
    _HERE,
    "Whether all is stored that the partitions held when this instance got them.",
)
PARTITIONS = Metric("retrainer_partitions", Kind.GAUGE, _HERE, "Partitions that this instance reads.")
LAG_EVENTS = Metric(
    "retrainer_lag_events",
    Kind.GAUGE,
    _HERE,
    "Events of this instance's partitions that are still to be read; absent while that is not known.",
)
EVENT_TIME_LAG = Metric(
    "retrainer_event_time_lag_seconds",
    Kind.GAUGE,
    _HERE,
    "How far reading is behind in the events' own time: the age of the newest event that was stored while more are to "
    "be read, and 0 when none is; absent while that is not known.",
    "seconds",
)
RUNS_CYCLES = Metric(
    "retrainer_runs_cycles", Kind.GAUGE, _HERE, "Whether this instance holds the lease, and so runs the cycles."
)
TROUBLE = Metric(
    "retrainer_trouble", Kind.GAUGE, _HERE, "Whether something keeps ledger or disk from being used by this instance."
)
RESIDENT = Metric(
    "retrainer_resident_memory_bytes",
    Kind.GAUGE,
    _HERE,
    "Memory in use: of the service itself, and of all trainers and other processes that it has started.",
    "bytes",
    (Label("process", ("consumer", "trainers")),),
)
CHILDREN = Metric(
    "retrainer_child_processes", Kind.GAUGE, _HERE, "Trainers and other processes that the service has started."
)
LEDGER_UP = Metric(
    "retrainer_ledger_up",
    Kind.GAUGE,
    _HERE,
    "Whether the ledger answered this scrape. Where it did not, all metrics of the ledger are absent.",
)
LEDGER_READ = Metric(
    "retrainer_ledger_read_seconds", Kind.GAUGE, _HERE, "How long reading the ledger took for this scrape.", "seconds"
)
SLOW_AGE = Metric(
    "retrainer_slow_figures_age_seconds",
    Kind.GAUGE,
    _HERE,
    "Age of the figures that are too slow to be read for each scrape: refused, versions, gaps, settled dead letters, "
    "size of the ledger.",
    "seconds",
)

METRICS = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
