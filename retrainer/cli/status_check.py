"""What a person has to look at, of what `retrainer status` found: for cron and for health checks of people's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from consumer.configuration.dead_letters import WAY_OUT
from consumer.freshness.verdict import FreshnessState
from consumer.listener.state import ListenerState
from consumer.notifications.now import channels_in_trouble
from consumer.status import ServiceState

_NOT_RUNNING = {"never started", "not responding", ServiceState.STOPPED.value}
"""States of a service that does nothing; `retrainer.cli.status` says them."""


def problems(found: dict[str, Any]) -> list[str]:
    """A line for each thing that does not mend itself, or has not yet; empty where all is well.

    What a person has ordered, such as a pause, is no problem, and neither is work that waits for its turn.
    """
    parts = (_of_service, _of_cycles, _of_promise, _of_data, _of_notifications)
    return [line for part in parts for line in part(found)]


def _of_service(found: dict[str, Any]) -> Iterator[str]:
    if found["state"] in _NOT_RUNNING:
        yield f"no service runs on {found['state_dir']}: {found['state']}"
    for name in ("trouble", "unable", "notice"):
        if found.get(name):
            yield f"{found[name]}"
    if found["pending"] is None:
        yield f"the ledger {found['ledger']} does not answer"


def _of_cycles(found: dict[str, Any]) -> Iterator[str]:
    if held := found.get("held"):
        yield f"held: {held['reason']}; to do: {held['way_out']}"
    if failing := found.get("failing"):
        yield f"cycle {failing['cycle_id']} fails: {failing['error']}"
    if (why := found.get("asks_full")) and not found.get("full_on_drift"):
        yield f"a full retrain is asked for: {why}; `retrainer train --full`"


def _of_notifications(found: dict[str, Any]) -> Iterator[str]:
    if told := found.get("notifications"):
        yield from channels_in_trouble(told)


def _of_promise(found: dict[str, Any]) -> Iterator[str]:
    """A promise at risk may be kept yet; one that is broken is told."""
    if (verdict := found.get("freshness")) and verdict["state"] == FreshnessState.BROKEN:
        yield f"freshness: {verdict['reason']}"


def _of_data(found: dict[str, Any]) -> Iterator[str]:
    if found["state"] == ListenerState.TOO_MANY_DEAD_LETTERS:
        yield f"reading has paused, there are too many dead letters; to do: {WAY_OUT}"
    elif count := found.get("open_dead_letters"):
        yield f"{count} dead letters are open: see `retrainer dead-letters list`"
    if gaps := found.get("gaps"):
        yield f"{len(gaps)} gaps since the last full retrain: events were lost, see `retrainer status`"
