"""Cycles whose reports are worth looking at: registered, refused, unchanged and held, on drifting listeners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.gate_study.spoiled import noise
from benchmarks.site import Site
from benchmarks.worlds import genres
from schemas.cycle import CycleResult
from schemas.reports import ReportPolicy
from stores.features.local import LocalFeatureStore
from trainer.learning import cycle_fit

_WAVES = 5
_SPOILED = 0.5  # standard deviations of noise on every weight


def sample_cycles(folder: Path, users: int = 2000) -> dict[str, CycleResult]:
    """Run the cycles in `folder`, with evidence in its folder `reports`, and return their results by id."""
    world = genres(users, _WAVES + 1, 0.05, 0)
    store = LocalFeatureStore(folder / "store.db", world.group)
    store.commit(world.initial)
    site = Site(
        folder, folder / "store.db", world.group, reports=ReportPolicy(html=False), reports_dir=folder / "reports"
    )
    results = [site.run("c000001-bootstrap", ())]
    for number in range(2, _WAVES + 2):
        wave = next(world.waves)
        store.commit(wave.rows)
        results.append(site.run(f"c00000{number}-registered", wave.announced))
    wave = next(world.waves)
    store.commit(wave.rows)
    with patch("trainer.cycle.fit_cycle", _spoiled(cycle_fit.fit_cycle)):
        results.append(site.run("c000007-refused", wave.announced))
    results.append(site.run("c000008-unchanged", list(world.initial)[:1]))
    gone = list(world.initial)[: users // 2]
    store.commit({}, gone)
    results.append(site.run("c000009-held", gone))
    store.close()
    return {result.cycle_id: result for result in results}


def _spoiled(fit: Callable[..., Any]) -> Callable[..., Any]:
    def do(model: Any, *others: Any) -> Any:
        report = fit(model, *others)
        noise(_SPOILED)(model)
        return report.model_copy(update={"learned": True})

    return do
