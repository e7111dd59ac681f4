"""Whether an instance is ready: it listens, has caught up, and its ledger answers. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from consumer.clock import Clock
from consumer.listener.state import ListenerState
from consumer.status import Status


def unready(status: Status | None, clock: Clock, ledger_trouble: str | None) -> list[str]:
    """Why an instance is not ready, a line for each reason; empty where it is.

    Args:
        status: what the service said last; None where it has said nothing yet.
        clock: the time.
        ledger_trouble: why the ledger does not answer; None where it does.
    """
    return [*_of_service(status, clock), *([ledger_trouble] if ledger_trouble else [])]


def _of_service(status: Status | None, clock: Clock) -> Iterator[str]:
    if status is None:
        yield "the service is starting"
        return
    if not status.alive(clock):
        yield f"{status.state}: the service was last heard {status.silence(clock):.0f} s ago"
        return
    if status.trouble:
        yield status.trouble
    if status.unable:
        yield f"the listener cannot read: {status.unable}"
    elif status.partitions == 0 and status.listener != ListenerState.STANDING_BY:
        yield "the listener has no partition yet"
    elif not status.caught_up:
        behind = "it is not known how far" if status.lag is None else f"{status.lag} events are left"
        yield f"the listener has not caught up: {behind}"
