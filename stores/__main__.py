"""Answers one question of the consumer about a cluster, or about the model registry wherever it is, in a process of its
own: the consumer never loads the SDK.

    python -m stores describe TLS_DIR     the facts of the feature group and of the label group
    python -m stores mirror VERSION       tag a version as the champion
    python -m stores prune ORDER          delete versions: `{"versions": {VERSION: CYCLE_ID}, "fence": TOKEN}`
    python -m stores sizes all            the bytes of every version

Settings (`TrainerSettings`, JSON) come on standard input; one JSON object goes to standard output: `{"facts": …}`,
`{"note": …}`, `{"pruned": …}`, `{"sizes": …}`, or after a failure `{"error": …, "again": …}`, where `again` says
whether another try may help.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from schemas.cycle import TrainerSettings
from schemas.events import Group
from schemas.fault_points import Point, reached
from schemas.hopsworks import Hopsworks, HopsworksRegistry, HopsworksStore
from stores.errors import ClusterUnreachable, StoreError

_SILENCE = 10.0


def main() -> int:
    """Answer one question; exit code 1 where the answer is an error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints
    settings = TrainerSettings.model_validate_json(sys.stdin.read())
    try:
        answer = _answer(settings, *sys.argv[1:])
    except StoreError as error:
        answer = {"error": str(error), "again": isinstance(error, ClusterUnreachable)}
    print(json.dumps(answer), file=out, flush=True)
    return 1 if "error" in answer else 0


def _answer(settings: TrainerSettings, question: str, detail: str) -> dict[str, Any]:
    if question in {"prune", "sizes"}:
        return _of_versions(settings, question, detail)
    from stores.hopsworks.facts import group_facts
    from stores.hopsworks.groups import check_group, find_group
    from stores.hopsworks.session import session_with

    assert settings.hopsworks is not None
    cluster = _impatient(settings.hopsworks)
    if question == "describe":
        store = settings.feature_store if isinstance(settings.feature_store, HopsworksStore) else HopsworksStore()
        session = session_with(cluster)
        groups: list[Group] = [settings.feature_group, *([settings.labels] if settings.labels is not None else [])]
        for group in groups:
            check_group(find_group(session, group), group, store)  # better an error at the start than in every cycle
        facts = group_facts(session, settings.feature_group, settings.labels, Path(detail))
        return {"facts": facts.model_dump(mode="json")}
    from stores.registry.hopsworks.registry import HopsworksModelRegistry

    assert question == "mirror"
    assert isinstance(settings.model_registry, HopsworksRegistry)
    registry = HopsworksModelRegistry(
        session_with(settings.hopsworks),
        settings.model_registry,
        settings.model_name,
        cache=settings.work_dir / "versions",
    )
    return {"note": registry.mirror_champion(int(detail))}


def _impatient(cluster: Hopsworks) -> Hopsworks:
    """The caller decides how long to go on trying: the caller has a health check to answer."""
    patience = {"retry_for": 0.0, "request_timeout": min(_SILENCE, cluster.request_timeout)}
    return cluster.model_copy(update=patience)


def _of_versions(settings: TrainerSettings, question: str, detail: str) -> dict[str, Any]:
    from stores.registry.opening import open_registry
    from stores.registry.pruning import prune, sizes

    registry = open_registry(settings, _impatient(settings.hopsworks) if settings.hopsworks is not None else None)
    if question == "sizes":
        return {"sizes": sizes(registry)}
    order = json.loads(detail)
    versions = {int(version): cycle_id for version, cycle_id in order["versions"].items()}
    pruned = prune(registry, versions, order["fence"])
    reached(Point.PRUNE_DELETED)
    return {"pruned": {"freed": pruned.freed, "left": pruned.left}}


if __name__ == "__main__":
    sys.exit(main())
