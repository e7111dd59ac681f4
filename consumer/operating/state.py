"""Which words of the service still go with the ledger.

The service wrote its part up to a second ago, the ledger was asked just now. Where the two disagree, the ledger is
right, and what the service says of it is left out until it has looked again.
"""

from __future__ import annotations

from consumer.cycles.trigger import Hold
from consumer.ledger.views import Backlog
from consumer.status import ServiceState, Status

_OF_CHANGES = {Hold.QUIET.value, Hold.THRESHOLD.value, Hold.PROBING.value}
_OF_REST = {Hold.INTERVAL.value, Hold.FRUITLESS.value, Hold.FAILED.value, Hold.HELD.value}


def hold_now(
    alive: Status, backlog: Backlog, cycle: object, *, held: bool, failed: bool, paused: bool = False
) -> str | None:
    """Why no cycle starts, as the service said, if that still goes with the ledger; None where it does not."""
    hold, new = alive.hold, backlog.untried + backlog.untried_labels
    wrong = (
        (hold == Hold.NOTHING and new > 0)
        or (hold == Hold.LABELS_ALONE and (backlog.untried > 0 or new == 0))
        or (hold in _OF_CHANGES and new == 0)
        or (hold == Hold.RUNNING and cycle is None)
        or (hold in _OF_REST and cycle is not None)
        or (hold == Hold.HELD and not held)
        or (hold == Hold.FAILED and not failed)
        or (hold == Hold.PAUSED and not paused)
    )
    return None if wrong else hold


def state_now(alive: Status, cycle: object, *, held: bool) -> str:
    """The state, as the service said, if that still goes with the ledger; else how its listener is."""
    wrong = (alive.state == ServiceState.HELD and not held) or (alive.state == ServiceState.TRAINING and cycle is None)
    return (alive.listener or "running") if wrong else alive.state
