"""What this process knows by itself, put into a page."""

from __future__ import annotations

import platform

from consumer.memory import Memory
from consumer.metrics import instance_metrics as of
from consumer.metrics.readings import Readings
from consumer.release import release
from consumer.status import Status


def tell_build(into: Readings) -> None:
    """Put the release into a page."""
    into.put(of.BUILD, 1, version=release() or "unknown", python=platform.python_version())


def tell_memory(into: Readings, found: Memory | None) -> None:
    """Put the memory into a page; nothing where it is not known."""
    if found is not None:
        into.put(of.RESIDENT, found.own, process="consumer")
        into.put(of.RESIDENT, found.children, process="trainers")
        into.put(of.CHILDREN, found.processes)


def tell_status(into: Readings, status: Status | None, now: float) -> None:
    """Put a status into a page; nothing where the service has not told yet how it is."""
    if status is None:
        return
    for state in of.STATES:
        into.put(of.STATE, status.state == state, state=state)
    into.put(of.STATUS_AT, status.written_at)
    into.put(of.POLLED_AT, status.polled_at)
    into.put(of.READS, status.unable is None)
    into.put(of.CAUGHT_UP, status.caught_up)
    into.put(of.PARTITIONS, status.partitions)
    into.put(of.LAG_EVENTS, status.lag)
    into.put(of.EVENT_TIME_LAG, event_time_lag(status, now))
    into.put(of.RUNS_CYCLES, status.runs_cycles)
    into.put(of.TROUBLE, status.trouble is not None)


def event_time_lag(status: Status, now: float) -> float | None:
    """Seconds by which reading is behind in the events' own time; None while that is not known."""
    if status.lag == 0:
        return 0.0
    if status.lag is None or status.stored_event_at is None:
        return None
    return max(0.0, now - status.stored_event_at)  # a producer's clock may be ahead of ours
