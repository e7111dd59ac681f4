"""Old versions leave the registry: after a new one is registered, in a thread, by a process of its own.

No cycle waits for that. What cannot be deleted is logged and tried again. `consumer.ledger.retention.marking` says in
which order things are done, and why.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass

import structlog

from consumer.cluster import ask_cluster
from consumer.cycles.version_needs import Needs
from consumer.ledger.ledger import Ledger
from consumer.routine import Routine
from consumer.settings import Settings
from schemas.log_events.cycles import VERSIONS_DELETED, VERSIONS_NOT_DELETED

log = structlog.get_logger()

_LOOK_EVERY = 5.0
_AGAIN_AFTER = 600.0
"""Seconds until all is looked at again, though no version came: who needed a version may not need it any more."""
_AFTER_TROUBLE = 60.0


@dataclass(frozen=True, slots=True)
class Deleted:
    """What became of versions that were to be deleted."""

    freed: dict[int, int]
    """Version that is gone: the bytes of its files, 0 where it was gone before."""
    left: dict[int, str]
    """Version that is still there: why."""


def prune_some(settings: Settings, ledger: Ledger, now: float, keep: int | None, needs: Needs) -> Deleted:
    """Delete some of the versions that nothing keeps, the oldest first, and those that were marked before.

    Raises:
        ClusterTrouble: the registry did not answer; what is marked is deleted by a later call.
    """
    marked = ledger.pruning.mark(keep, now, needs.channels, needs.further())
    if not marked.versions:
        return Deleted({}, {})
    order = json.dumps({"versions": marked.versions, "fence": marked.fence})
    answer = ask_cluster(settings, "prune", order)
    freed = {int(version): size for version, size in answer["freed"].items()}
    ledger.pruning.gone(freed)
    return Deleted(freed, {int(version): why for version, why in answer["left"].items()})


class Pruner(Routine):
    """A follower that prunes; see `consumer.followers.Follower`.

    Args:
        settings: name the registry, and how many versions stay.
        ledger: knows who needs which version.
        needs: what the ledger does not know of that.
    """

    def __init__(self, settings: Settings, ledger: Ledger, needs: Needs) -> None:
        self._settings = settings
        self._ledger = ledger
        self._needs = needs
        super().__init__("pruner", self._run)

    def _run(self, stopping: threading.Event) -> None:
        seen, look_at = -1, 0.0
        while not stopping.is_set():
            try:
                newest = self._ledger.pruning.newest()
                if newest != seen or time.monotonic() >= look_at:
                    self._prune(stopping)
                    seen, look_at = newest, time.monotonic() + _AGAIN_AFTER
            except Exception as trouble:  # noqa: BLE001  (whatever it is, what is marked waits in the ledger)
                log.warning(VERSIONS_NOT_DELETED, reason=str(trouble) or type(trouble).__name__)
                stopping.wait(_AFTER_TROUBLE)
            stopping.wait(_LOOK_EVERY)

    def _prune(self, stopping: threading.Event) -> None:
        keep = self._settings.model_registry.keep
        while not stopping.is_set():
            deleted = prune_some(self._settings, self._ledger, time.time(), keep, self._needs)
            if deleted.freed:
                log.info(VERSIONS_DELETED, versions=sorted(deleted.freed), freed_bytes=sum(deleted.freed.values()))
            if deleted.left:
                log.warning(VERSIONS_NOT_DELETED, reason="; ".join(deleted.left.values()))
            if not deleted.freed:
                return
