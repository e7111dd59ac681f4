"""Vectors that are computed on Ray make the same files as those of this process, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from schemas.cycle import TrainerSettings
from schemas.engine import MiningEngine, RayCluster
from stores.vectors import blocks
from stores.vectors.reader import VectorSet
from tests.integration.ray.cluster import TwoNodes
from tests.models.vectors.test_export import quiet, request_of, settings
from trainer.distributed.workers import RayWorkers
from trainer.vectors import export, rows
from trainer.workers import Workers

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

__all__ = ["settings"]  # the fixture


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (blocks, rows):
        monkeypatch.setattr(module, "BLOCK", 70)


def on_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every export send its work away, however small it is."""

    @contextmanager
    def workers(_kind: MiningEngine, _cluster: RayCluster) -> Iterator[Workers]:
        yield RayWorkers(lambda: None, worth=0.0)

    monkeypatch.setattr(export, "workers_of", workers)


def test_a_set_holds_the_same_bits(
    nodes: TwoNodes,
    settings: TrainerSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local = export.export(request_of(settings, tmp_path / "local"), quiet)
    on_ray(monkeypatch)
    ticks: list[int] = []
    ours = export.export(request_of(settings, tmp_path / "ray"), lambda done, _: ticks.append(done))
    assert ours.model_copy(update={"created_at": local.created_at}) == local
    one, other = VectorSet.open(tmp_path / "ray"), VectorSet.open(tmp_path / "local")
    assert one.users == other.users
    np.testing.assert_array_equal(one.queries, other.queries)
    np.testing.assert_array_equal(one.candidates, other.candidates)
    assert ticks == [0, 70, 140, 210, 280, 350, 400]

    again = export.export(request_of(settings, tmp_path / "ray", changed_only=True), quiet)
    assert (again.users, again.computed) == (400, 0)
    np.testing.assert_array_equal(VectorSet.open(tmp_path / "ray").queries, other.queries)
