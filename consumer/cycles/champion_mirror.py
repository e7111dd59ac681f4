"""The champion is mirrored to the registry: as `champion.json` in a local one, as a tag in that of a cluster.

The ledger decides, and the mirror is for whoever looks at the registry. A thread compares what the ledger says with
what was mirrored, so a crash between a promotion and its mirror is made good. What the registry refuses is logged once,
and tried again ever more seldom.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.cluster import ClusterTrouble, ask_cluster
from consumer.cycles.champion_file import says, write_champion
from consumer.ledger.ledger import Ledger
from consumer.ledger.promotions import Promotion
from consumer.routine import Routine
from consumer.settings import Settings
from schemas.fault_points import Point, reached
from schemas.log_events.promotions import (
    CHAMPION_FILE_NOT_WRITTEN,
    CHAMPION_FILE_WRITTEN,
    CHAMPION_NOT_TAGGED,
    CHAMPION_TAGGED,
)

log = structlog.get_logger()

_IDLE = 1.0  # seconds between looks at the ledger
_LONGEST_WAIT = 600.0


class ChampionMirror(Routine):
    """Mirrors the champion in a thread of its own; may be started and stopped any number of times."""

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        super().__init__("champion-mirror", self._run)

    def _run(self, stopping: threading.Event) -> None:
        attempts = _Attempts()
        while not stopping.is_set():
            with suppress(DBAPIError, OSError):  # the service says what is wrong with ledger or disk
                last = self._ledger.promotions.last()
                if last is not None and not self._is_mirrored(last, attempts.done) and attempts.due(last.number):
                    self._mirror(last, attempts)
            stopping.wait(_IDLE)

    def _mirror(self, last: Promotion, attempts: _Attempts) -> None:
        reason = mirrored(self._settings, self._ledger.ledger_id, last)
        reached(Point.MIRRORED)
        local, known = self._settings.model_registry.kind == "local", attempts.reason
        attempts.ended(last.number, reason)
        if reason is None and local:
            log.info(CHAMPION_FILE_WRITTEN, cycle_id=last.cycle_id, version=last.version, promotion=last.number)
        elif reason is None:
            log.info(CHAMPION_TAGGED, cycle_id=last.cycle_id, version=last.version)
        elif reason != known and local:
            log.warning(CHAMPION_FILE_NOT_WRITTEN, cycle_id=last.cycle_id, version=last.version, reason=reason)
        elif reason != known:
            log.info(CHAMPION_NOT_TAGGED, cycle_id=last.cycle_id, version=last.version, reason=reason)

    def _is_mirrored(self, last: Promotion, done: int | None) -> bool:
        registry = self._settings.model_registry
        if registry.kind == "local":  # a look at a small file: somebody may have removed it
            return says(registry.path / self._settings.model_name, self._ledger.ledger_id, last)
        return done == last.number


class _Attempts:
    """What was mirrored last, and when what was refused is tried again: ever later, and at once for a new promotion."""

    def __init__(self) -> None:
        self.done: int | None = None
        self.reason: str | None = None
        self._number: int | None = None
        self._wait = _IDLE
        self._next = 0.0

    def due(self, number: int) -> bool:
        """Whether a promotion is to be mirrored now."""
        if number != self._number:
            self._number, self._wait, self._next = number, _IDLE, 0.0
        return time.monotonic() >= self._next

    def ended(self, number: int, reason: str | None) -> None:
        """A promotion was mirrored, or was not for a reason."""
        self.reason, self.done = reason, number if reason is None else None
        self._next, self._wait = time.monotonic() + self._wait, min(2 * self._wait, _LONGEST_WAIT)


def mirrored(settings: Settings, ledger_id: str, promotion: Promotion) -> str | None:
    """Mirror a promotion of a ledger now; gives why the registry does not show it, None where it does."""
    registry = settings.model_registry
    try:
        if registry.kind == "local":
            write_champion(registry.path / settings.model_name, ledger_id, promotion)
            return None
        return ask_cluster(settings, "mirror", str(promotion.version)) or None
    except (ClusterTrouble, OSError) as trouble:
        return str(trouble) or type(trouble).__name__


def mirror_now(settings: Settings, ledger: Ledger) -> str | None:
    """Mirror the champion at once, for a command; gives why the registry does not show it, None where it does.

    Where the champion moves meanwhile, it is mirrored again: what is mirrored last is what is champion then.
    """
    reason, done = None, None
    while (last := ledger.promotions.last()) is not None and last.number != done:
        reason, done = mirrored(settings, ledger.ledger_id, last), last.number
    return reason
