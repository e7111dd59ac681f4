"""A version says whether its queries may meet the vectors of the one before; a full retrain is rotated onto that."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas.cycle import CycleKind, Outcome
from tests.models.test_cycle import Bench, started, template
from tests.worlds import names
from trainer.learning.rotation import rotate
from trainer.model import TwoTower

__all__ = ["started", "template"]


@pytest.mark.full
def test_a_full_retrain_lies_where_the_champion_does_and_says_so(started: Bench) -> None:
    assert started.registry.versions()[0].manifest.compatibility_report is None
    request = started.request("c2", CycleKind.FULL, base=1)
    result = started.run(request)
    found = result.compatibility
    assert result.outcome is Outcome.REGISTERED
    assert found is not None
    assert (found.version, found.figure, found.compatible, found.towers_changed) == (1, "recall_at_10", True, True)
    assert found.kept > 0.97
    assert found.own_recall == result.gate.champion.recall_at_10  # type: ignore[union-attr]
    version = started.registry.versions()[-1]
    assert version.manifest.index_compatible_with == 1
    assert version.manifest.compatibility_report == found
    assert found.summary[1:] in (started.registry.fetch(version.version) / "report.md").read_text()
    assert started.run(request).compatibility == found  # asked again, it is read from the manifest


@pytest.mark.full
def test_a_model_that_is_turned_at_random_is_not_compatible_and_is_registered_all_the_same(
    started: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gate judges a version by itself; that its vectors lie elsewhere is said, and refuses nothing."""

    def elsewhere(_other: TwoTower, model: TwoTower, *_: Any) -> None:
        rotate(model, np.linalg.qr(np.random.default_rng(0).normal(size=(128, 128)))[0])

    monkeypatch.setattr("trainer.cycle.rotate_onto", elsewhere)
    result = started.run(started.request("c2", CycleKind.FULL, base=1))
    assert result.outcome is Outcome.REGISTERED
    assert result.compatibility is not None
    assert result.compatibility.kept < 0.5
    assert not result.compatibility.compatible
    manifest = started.registry.versions()[-1].manifest
    assert (manifest.index_compatible_with, manifest.compatibility_report) == (None, result.compatibility)


@pytest.mark.full
def test_an_incremental_cycle_says_it_too(started: Bench) -> None:
    started.store.commit(started.world.rows(names(60)))
    result = started.run(started.request("c2", CycleKind.INCREMENTAL, names(60), 1))
    assert result.outcome is Outcome.REGISTERED
    assert result.fit is not None
    assert result.compatibility is not None
    assert result.compatibility.towers_changed is result.fit.learned
    assert result.compatibility.kept > 0.9
