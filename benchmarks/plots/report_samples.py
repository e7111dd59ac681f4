"""Cycles whose reports are worth looking at: registered, refused, unchanged and held, on listeners of new genres."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.gate_study.spoiled import noise
from benchmarks.site import Site
from benchmarks.worlds import genres
from schemas.cycle import CycleResult, Outcome
from schemas.reports import ReportPolicy
from stores.features.local import LocalFeatureStore
from trainer.learning import cycle_fit

_WAVES = 4
_SPOILED = 0.05  # standard deviations of noise on every weight


def sample_cycles(folder: Path, users: int = 2000) -> dict[Outcome, CycleResult]:
    """Run cycles in `folder`, with evidence in its folder `reports`, and return the last of each outcome.

    Users of a cycle that does not settle them stay pending, as with the service.
    """
    world = genres(users, _WAVES, 0.05, 0)
    store = LocalFeatureStore(folder / "store.db", world.group)
    store.commit(world.initial)
    site = Site(
        folder, folder / "store.db", world.group, reports=ReportPolicy(html=False), reports_dir=folder / "reports"
    )
    pending: dict[str, None] = {}
    found: dict[Outcome, CycleResult] = {}

    def cycle(changed: list[str]) -> None:
        pending.update(dict.fromkeys(changed))
        result = site.run(f"c{len(list((folder / 'reports').glob('*'))) + 1:06d}", tuple(pending))
        if result.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED}:
            pending.clear()
        found[result.outcome] = result

    cycle([])
    for wave in world.waves:
        store.commit(wave.rows)
        cycle(list(wave.announced))
    changed = list(world.initial)[:40]
    with patch("trainer.cycle.fit_cycle", _spoiled(cycle_fit.fit_cycle)):
        cycle(changed)
    gone = list(world.initial)[: users // 2]
    store.commit({}, gone)
    cycle(gone)
    store.close()
    return found


def _spoiled(fit: Callable[..., Any]) -> Callable[..., Any]:
    def do(model: Any, *others: Any) -> Any:
        report = fit(model, *others)
        noise(_SPOILED)(model)
        return report.model_copy(update={"learned": True})

    return do
