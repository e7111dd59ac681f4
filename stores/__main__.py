"""Answers one question of the consumer about a cluster, or about the model registry wherever it is, in a process of its
own: the consumer never loads the SDK.

    python -m stores describe TLS_DIR     the facts of the feature group and of the label group
    python -m stores mirror VERSION       tag a version as the champion
    python -m stores manifest CYCLE_ID    the manifest of the version that a cycle has registered, null without one
    python -m stores prune ORDER          delete versions: `{"versions": {VERSION: CYCLE_ID}, "fence": TOKEN}`
    python -m stores sizes all            the bytes of every version
    python -m stores deploy VERSION       have the deployment serve a version, and wait until it is ready

Settings (`TrainerSettings`, JSON) come on standard input; one JSON object goes to standard output: `{"facts": …}`,
`{"note": …}`, `{"manifest": …}`, `{"pruned": …}`, `{"sizes": …}`, `{"deployed": …}`, or after a failure `{"error": …,
"again": …}`, where `again` says whether another try may help.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from schemas.cycle import TrainerSettings
from schemas.events import Group
from schemas.fault_points import Point, reached
from schemas.hopsworks import Hopsworks, HopsworksRegistry, HopsworksStore
from stores.errors import ClusterUnreachable, StoreError

if TYPE_CHECKING:
    from stores.model_registry import ModelRegistry
    from stores.registry.hopsworks.registry import HopsworksModelRegistry

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
    answers = {
        "describe": _described,
        "mirror": _mirrored,
        "manifest": _manifest,
        "prune": _pruned,
        "sizes": _sizes,
        "deploy": _deployed,
    }
    return answers[question](settings, detail)


def _described(settings: TrainerSettings, tls_dir: str) -> dict[str, Any]:
    from stores.hopsworks.facts import group_facts
    from stores.hopsworks.groups import check_group, find_group
    from stores.hopsworks.session import session_with

    assert settings.hopsworks is not None
    store = settings.feature_store if isinstance(settings.feature_store, HopsworksStore) else HopsworksStore()
    session = session_with(_impatient(settings.hopsworks))
    groups: list[Group] = [settings.feature_group, *([settings.labels] if settings.labels is not None else [])]
    for group in groups:
        check_group(find_group(session, group), group, store)  # better an error at the start than in every cycle
    facts = group_facts(session, settings.feature_group, settings.labels, Path(tls_dir))
    return {"facts": facts.model_dump(mode="json")}


def _mirrored(settings: TrainerSettings, version: str) -> dict[str, Any]:
    return {"note": _of_cluster(settings).mirror_champion(int(version))}


def _manifest(settings: TrainerSettings, cycle_id: str) -> dict[str, Any]:
    found = _of_cluster(settings).find(cycle_id)
    return {"manifest": found and found.manifest.model_dump(mode="json")}


def _pruned(settings: TrainerSettings, order: str) -> dict[str, Any]:
    from stores.registry.pruning import prune

    ordered = json.loads(order)
    versions = {int(version): cycle_id for version, cycle_id in ordered["versions"].items()}
    pruned = prune(_wherever_it_is(settings), versions, ordered["fence"], _served(settings))
    reached(Point.PRUNE_DELETED)
    return {"pruned": {"freed": pruned.freed, "left": pruned.left}}


def _served(settings: TrainerSettings) -> dict[int, str]:
    """The version that the deployment serves: after it was taken back, another one than the champion."""
    if settings.deployment is None or settings.hopsworks is None:
        return {}
    from stores.hopsworks.deployments import served_version
    from stores.hopsworks.session import session_with

    found = served_version(session_with(_impatient(settings.hopsworks)), settings.deployment.name)
    return {} if found is None else {found: f"the deployment {settings.deployment.name} serves it"}


def _sizes(settings: TrainerSettings, _all: str) -> dict[str, Any]:
    from stores.registry.pruning import sizes

    return {"sizes": sizes(_wherever_it_is(settings))}


def _of_cluster(settings: TrainerSettings) -> HopsworksModelRegistry:
    from stores.hopsworks.session import session_with
    from stores.registry.hopsworks.registry import HopsworksModelRegistry

    assert settings.hopsworks is not None
    assert isinstance(settings.model_registry, HopsworksRegistry)
    session, cache = session_with(settings.hopsworks), settings.work_dir / "versions"
    return HopsworksModelRegistry(session, settings.model_registry, settings.model_name, cache=cache)


def _wherever_it_is(settings: TrainerSettings) -> ModelRegistry:
    from stores.registry.opening import open_registry

    return open_registry(settings, None if settings.hopsworks is None else _impatient(settings.hopsworks))


def _impatient(cluster: Hopsworks) -> Hopsworks:
    """The caller decides how long to go on trying: the caller has a health check to answer."""
    patience = {"retry_for": 0.0, "request_timeout": min(_SILENCE, cluster.request_timeout)}
    return cluster.model_copy(update=patience)


def _deployed(settings: TrainerSettings, detail: str) -> dict[str, Any]:
    from stores.deployment import Patience, deploy
    from stores.hopsworks.deployments import HopsworksDeployment
    from stores.hopsworks.session import session_with

    assert settings.hopsworks is not None
    assert settings.deployment is not None
    asker = os.getppid()

    def pause(seconds: float) -> None:
        if os.getppid() != asker:  # of two who bring versions there, one would undo what the other does
            raise StoreError("whoever asked for the deployment is gone")
        time.sleep(seconds)

    version = int(detail)
    entry = _of_cluster(settings).deployable(version)
    deployment = HopsworksDeployment(session_with(settings.hopsworks), settings.deployment.name, entry)
    return {"deployed": asdict(deploy(deployment, version, Patience(settings.deployment.ready_within, pause)))}


if __name__ == "__main__":
    sys.exit(main())
