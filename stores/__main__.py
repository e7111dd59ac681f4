"""Answers one question of the consumer about a cluster in a process of its own: the consumer never loads the SDK.

    python -m stores describe TLS_DIR     the facts of the feature group and of the label group
    python -m stores mirror VERSION       tag a version as the champion
    python -m stores deploy VERSION       have the deployment serve a version, and wait until it is ready

Settings (`TrainerSettings`, JSON) come on standard input; one JSON object goes to standard output: `{"facts": …}`,
`{"note": …}`, `{"deployed": …}`, or after a failure `{"error": …, "again": …}`, where `again` says whether another try
may help.
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
from schemas.hopsworks import HopsworksRegistry, HopsworksStore
from stores.errors import ClusterUnreachable, StoreError

if TYPE_CHECKING:
    from stores.deployment import Standing
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
    from stores.hopsworks.facts import group_facts
    from stores.hopsworks.groups import check_group, find_group
    from stores.hopsworks.session import session_with

    assert settings.hopsworks is not None
    # The caller decides how long to go on trying: the caller has a health check to answer.
    patience = {"retry_for": 0.0, "request_timeout": min(_SILENCE, settings.hopsworks.request_timeout)}
    cluster = settings.hopsworks.model_copy(update=patience)
    if question == "describe":
        store = settings.feature_store if isinstance(settings.feature_store, HopsworksStore) else HopsworksStore()
        session = session_with(cluster)
        groups: list[Group] = [settings.feature_group, *([settings.labels] if settings.labels is not None else [])]
        for group in groups:
            check_group(find_group(session, group), group, store)  # better an error at the start than in every cycle
        facts = group_facts(session, settings.feature_group, settings.labels, Path(detail))
        return {"facts": facts.model_dump(mode="json")}
    from stores.registry.hopsworks.registry import HopsworksModelRegistry

    assert question in {"mirror", "deploy"}
    assert isinstance(settings.model_registry, HopsworksRegistry)
    registry = HopsworksModelRegistry(
        session_with(settings.hopsworks),
        settings.model_registry,
        settings.model_name,
        cache=settings.work_dir / "versions",
    )
    if question == "deploy":
        return {"deployed": asdict(_deployed(settings, registry, int(detail)))}
    return {"note": registry.mirror_champion(int(detail))}


def _deployed(settings: TrainerSettings, registry: HopsworksModelRegistry, version: int) -> Standing:
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

    entry = registry.deployable(version)
    deployment = HopsworksDeployment(session_with(settings.hopsworks), settings.deployment.name, entry)
    return deploy(deployment, version, Patience(settings.deployment.ready_within, pause))


if __name__ == "__main__":
    sys.exit(main())
