"""Every metric of ours. What is not here is not on the page."""

from __future__ import annotations

from consumer.metrics import instance_metrics, ledger_metrics
from consumer.metrics.metric import Metric

METRICS: tuple[Metric, ...] = (*instance_metrics.METRICS, *ledger_metrics.METRICS)

PROCESS_SERIES = (
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
)
"""What the client library tells of the process, on Linux, by the names that all programs have."""


def by_series() -> dict[str, Metric]:
    """Each metric by the names that a query may use."""
    return {series: metric for metric in METRICS for series in metric.series}
