"""Mirroring the champion as a tag in the cluster's registry. The ledger decides; a tag that lacks is only a note."""

from __future__ import annotations

import threading

import structlog

from consumer.cluster import ClusterTrouble, ask_cluster
from consumer.settings import Settings

log = structlog.get_logger()


def mirror_champion(settings: Settings, version: int) -> None:
    """Have the version tagged, meanwhile; where the registry is not a cluster's, nothing happens."""
    if settings.model_registry.kind == "hopsworks":
        threading.Thread(target=_mirror, args=(settings, version), name="champion-tag", daemon=True).start()


def _mirror(settings: Settings, version: int) -> None:
    try:
        note = ask_cluster(settings, "mirror", str(version))
    except (ClusterTrouble, OSError) as trouble:
        note = str(trouble)
    if note is None:
        log.info("champion tagged", version=version)
    else:
        log.info("champion not tagged", version=version, reason=note)
