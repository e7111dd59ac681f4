"""The service deletes old versions beside its cycles, which go on as if it did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.log_events.cycles import VERSIONS_DELETED
from stores.registry.local import LocalModelRegistry
from tests.integration.service import Service
from tests.waiting import wait_until

pytestmark = pytest.mark.full


def test_old_versions_leave_the_registry_while_cycles_run(tansu_address: str, tmp_path: Path) -> None:
    service = Service(tmp_path, tansu_address, MODEL_REGISTRY__KEEP="1")
    try:
        service.fill()
        service.start()
        service.wait_for_cycles(1)
        for number in range(1, 6):
            service.wave(number)
            service.wait_for_cycles(number + 1)
        gone = wait_until(
            lambda: {one["version"] for one in service.versions() if one["deleted_at"]}, 60, "old versions to go"
        )
        folder = next(tmp_path.rglob("registry"))
        registry = LocalModelRegistry(folder, "two_tower_recommender")
        wait_until(lambda: not gone & {found.version for found in registry.versions()}, 60, "their files to go, too")
        told = {one["version"] for one in service.versions() if not one["deleted_at"]}
        wait_until(lambda: told >= {found.version for found in registry.versions()}, 60, "no others to be there")
        wait_until(lambda: any(line["event"] == VERSIONS_DELETED for line in service.log()), 60, "the log to say so")
        champion = next(one["version"] for one in service.versions() if one["champion"])
        registry.fetch(champion)
    finally:
        service.close()
