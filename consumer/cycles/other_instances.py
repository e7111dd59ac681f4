"""The other instances on this ledger, as seen from here: which are there, which can read, and whether all is read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from consumer.identity import folder_of
from consumer.ledger.instances import Instance, Instances
from schemas.log_events.service import STATE_FOLDER_COPIED

log = structlog.get_logger()

_GONE_AFTER = 15.0  # seconds without a new report; an instance reports every three
_FORGOTTEN_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class _Heard:
    """The last report of an instance, and when the report was new, by our clock."""

    report: Instance
    at: float
    again: bool
    """Whether the instance has reported since we first saw it; the first report that we find may be old."""


class OtherInstances:
    """What one instance knows of the others. It never compares their clocks with its own.

    Args:
        instances: where instances report how they are.
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
        """Read new reports, and forget instances that have been silent for an hour."""
        now, before, heard_now = self._clock(), self._heard, dict[str, _Heard]()
        for one in self._instances.all():
            if one.id == self._own:
                continue
            known = before.get(one.id)
            new = known is None or (known.report.beats, known.report.seen_at) != (one.beats, one.seen_at)
            heard = _Heard(one, now if known is None or new else known.at, known is not None and (new or known.again))
            if now - heard.at < _FORGOTTEN_AFTER:
                heard_now[one.id] = heard
            else:
                self._instances.forget(one)
        self._heard, self._looked_at = heard_now, now  # at once: other threads read it
        self._look_for_copies()

    def caught_up(self) -> bool:
        """Whether every other instance that can read has read all that its partitions held, by reports seconds old.

        An instance that cannot read is not waited for: its partitions are given to others, or nobody can read them.
        """
        self.look()
        return all(one.report.state["caught_up"] or not _reads(one.report) for one in self._there())

    def anybody_reads(self) -> bool:
        """Whether another instance could read at the last look."""
        return any(one.again and _reads(one.report) for one in self._there())

    def heard_within(self, seconds: float) -> set[str] | None:
        """The ids of the others that reported within so many seconds; None while the ledger does not answer."""
        now = self._clock()
        if now - self._looked_at >= _GONE_AFTER:
            return None
        return {name for name, one in self._heard.items() if now - one.at < seconds}

    def _there(self) -> list[_Heard]:
        now = self._clock()
        return [one for one in self._heard.values() if now - one.at < _GONE_AFTER]

    def _look_for_copies(self) -> None:
        """Warn of copied state folders: each copy is an instance of its own, though it may be meant as the same."""
        for one in self._there():
            if one.again and one.report.id not in self._copies and folder_of(one.report.id) == folder_of(self._own):
                self._copies.add(one.report.id)
                log.warning(STATE_FOLDER_COPIED, other=one.report.name)


def _reads(one: Instance) -> bool:
    return one.state.get("unable") is None
