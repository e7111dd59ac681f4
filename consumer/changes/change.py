"""What the events of one user or one label come to."""

from __future__ import annotations

from msgspec import Struct

from schemas.events import Operation


class KeyChange(Struct, gc=False):
    """What a batch says about one user or label: the last operation, how many events, the first and last of them.

    Positions are text, as the ledger keeps them: one is made for every event.
    """

    operation: Operation
    first: str
    last: str
    first_event_at: float
    last_event_at: float
    events: int = 1


class LabelChange(Struct, frozen=True, gc=False):
    """The label with the `schemas.labels.pair_text` `key` may have changed; for labels what `Change` is for users."""

    key: str
    operation: Operation


def add_to(changed: dict[str, KeyChange], key: str, operation: Operation, position: str, event_at: float) -> None:
    """Add one event of the user or label `key`, at a `str(Position)`; the later event's operation holds."""
    if (known := changed.get(key)) is None:
        changed[key] = KeyChange(operation, position, position, event_at, event_at)
        return
    known.operation, known.last = operation, position
    known.events += 1
    if event_at > known.last_event_at:
        known.last_event_at = event_at
