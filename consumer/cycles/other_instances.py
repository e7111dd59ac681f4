"""The other instances on this ledger, as seen from here: who is there, who can read, and whether all is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from consumer.identity import folder_of
from consumer.ledger.instances import Instance, Instances

log = structlog.get_logger()

_GONE_AFTER = 15.0  # seconds without a new word; they speak every three
_FORGOTTEN_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class _Heard:
    """The last word of one, and when it was new, by our clock."""

    word: Instance
    at: float
    again: bool
    """Whether it has spoken since we first saw it; what we find at first may be old."""


class OtherInstances:
    """What one instance knows of the others. It never compares their clocks with its own.

    Args:
        instances: where they say how they are.
        own: the id of this instance.
        clock: seconds, of a clock that nobody sets.
    """

    def __init__(self, instances: Instances, own: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._instances = instances
        self._own = own
        self._clock = clock
        self._heard: dict[str, _Heard] = {}
        self._looked_at = float("-inf")
        self._copies: set[str] = set()

    def look(self) -> None:
        """Hear what is new, and forget who has been silent for an hour."""
        now, before, heard_now = self._clock(), self._heard, dict[str, _Heard]()
        for one in self._instances.all():
            if one.id == self._own:
                continue
            known = before.get(one.id)
            new = known is None or (known.word.beats, known.word.seen_at) != (one.beats, one.seen_at)
            heard = _Heard(one, now if known is None or new else known.at, known is not None and (new or known.again))
            if now - heard.at < _FORGOTTEN_AFTER:
                heard_now[one.id] = heard
            else:
                self._instances.forget(one)
        self._heard, self._looked_at = heard_now, now  # at once: other threads read it
        self._look_for_copies()

    def caught_up(self) -> bool:
        """Whether every other instance that reads has read what its partitions held; their word is seconds old.

        One that cannot read holds nobody up: its partitions are given to others, or nobody can read them.
        """
        self.look()
        return all(one.word.state["caught_up"] or not _reads(one.word) for one in self._there())

    def anybody_reads(self) -> bool:
        """Whether another instance is known to read, as it was at the last look."""
        return any(one.again and _reads(one.word) for one in self._there())

    def heard_within(self, seconds: float) -> set[str] | None:
        """The ids of the others that have spoken in so many seconds; None while the ledger does not tell."""
        now = self._clock()
        if now - self._looked_at >= _GONE_AFTER:
            return None
        return {name for name, one in self._heard.items() if now - one.at < seconds}

    def _there(self) -> list[_Heard]:
        now = self._clock()
        return [one for one in self._heard.values() if now - one.at < _GONE_AFTER]

    def _look_for_copies(self) -> None:
        """Each copy of a state folder is an instance of its own, but somebody may have meant to move it."""
        for one in self._there():
            if one.again and one.word.id not in self._copies and folder_of(one.word.id) == folder_of(self._own):
                self._copies.add(one.word.id)
                log.warning("the state folder is a copy of another instance's, which runs too", other=one.word.name)


def _reads(one: Instance) -> bool:
    return one.state.get("unable") is None
