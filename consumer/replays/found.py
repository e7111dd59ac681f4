"""The records that a replay has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from consumer.changes.change import KeyChange
from consumer.ledger.batch import Batch
from consumer.replays.stretch import Stretch
from schemas.spans import OffsetSpans, united


@dataclass(frozen=True, slots=True)
class Replayed:
    """The content of a window."""

    stretches: Sequence[Stretch]
    missing: Sequence[str]
    batch: Batch

    @property
    def ranges(self) -> OffsetSpans:
        """The offsets that were replayed."""
        return united(*({one.topic: {one.number: one.spans}} for one in self.stretches if one.spans))

    @property
    def events(self) -> int:
        """How many records were replayed."""
        return sum(one.held for one in self.stretches)

    @property
    def read(self) -> int:
        """How many records were read, in the window or not."""
        return sum(one.read for one in self.stretches)


def merge(whole: Batch, part: Batch) -> None:
    """Add a part that was read after the whole."""
    whole.dead += part.dead
    whole.ignored += part.ignored
    _add(whole.users, part.users)
    _add(whole.labels, part.labels)


def _add(whole: dict[str, KeyChange], part: Mapping[str, KeyChange]) -> None:
    for key, change in part.items():
        if (known := whole.get(key)) is None:
            whole[key] = change
        else:
            known.operation, known.last = change.operation, change.last
            known.first_event_at = min(known.first_event_at, change.first_event_at)
            known.last_event_at = max(known.last_event_at, change.last_event_at)
            known.events += change.events
