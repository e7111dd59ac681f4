"""The champion is mirrored as a tag in the cluster's registry. The ledger decides; a missing tag is only logged."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import DBAPIError

from consumer.cluster import ClusterTrouble, ask_cluster
from consumer.settings import Settings
from schemas.log_events.cycles import CHAMPION_NOT_TAGGED, CHAMPION_TAGGED

log = structlog.get_logger()


def mirror_champion(settings: Settings, champion: Callable[[], int | None]) -> None:
    """Have a thread tag the champion; where the registry is not a cluster's, nothing happens.

    `champion` asks the ledger, from another thread.
    """
    if settings.model_registry.kind == "hopsworks":
        threading.Thread(target=_mirror, args=(settings, champion), name="champion-tag", daemon=True).start()


def _mirror(settings: Settings, champion: Callable[[], int | None]) -> None:
    """Tag the champion, and tag again if the champion changed meanwhile: an instance that was stalled ends up right."""
    tagged = version = None
    try:
        while (version := champion()) != tagged:
            if note := ask_cluster(settings, "mirror", str(version)):
                log.info(CHAMPION_NOT_TAGGED, version=version, reason=note)
                return
            tagged = version
            log.info(CHAMPION_TAGGED, version=version)
    except (ClusterTrouble, DBAPIError, OSError) as trouble:
        log.info(CHAMPION_NOT_TAGGED, version=version, reason=str(trouble))
