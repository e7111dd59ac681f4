"""A cycle of each outcome with its report: registered, refused, unchanged, held and failed, on a small world."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from schemas.cycle import CycleKind, CycleResult, Outcome
from schemas.evidence import Evidence
from schemas.reports import ReportPolicy
from tests.models.test_cycle import Bench
from tests.worlds import names
from trainer.evidence.files import read_evidence
from trainer.learning import cycle_fit
from trainer.model import TwoTower


class Reported:
    """Runs the cycles in a folder; `html` is whether versions carry their pages."""

    def __init__(self, folder: Path, *, html: bool = False, keep: int = 9) -> None:
        self.bench = Bench(folder)
        self.reports = folder / "reports"
        self.bench.settings = self.bench.settings.model_copy(
            update={"reports_dir": self.reports, "reports": ReportPolicy(html=html, keep=keep)}
        )

    def first(self) -> CycleResult:
        """A version that is good enough, and leaves something to learn."""
        with patch("trainer.cycle.fit_cycle", _spoiled(cycle_fit.fit_cycle, 0.1)):
            return self.bench.run(self.bench.request("c1", CycleKind.BOOTSTRAP))

    def registered(self, base: int = 1) -> CycleResult:
        bench, users = self.bench, [*names(30), *names(20, start=400)]
        bench.store.commit(bench.world.rows(users))
        return bench.run(bench.request("c2", CycleKind.INCREMENTAL, users, base=base))

    def refused(self, base: int = 2) -> CycleResult:
        bench, users = self.bench, names(30, start=40)
        bench.store.commit(bench.world.rows(users))
        with patch("trainer.cycle.fit_cycle", _spoiled(cycle_fit.fit_cycle, 0.7)):
            return bench.run(bench.request("c3", CycleKind.INCREMENTAL, users, base=base))

    def unchanged(self, base: int = 2) -> CycleResult:
        gate = self.bench.settings.gate.model_copy(update={"register_unchanged": False})
        settings = self.bench.settings.model_copy(update={"gate": gate})
        return self.bench.run(self.bench.request("c4", CycleKind.INCREMENTAL, ["u1"], base=base, settings=settings))

    def held(self, base: int = 2) -> CycleResult:
        self.bench.store.commit({}, names(250, start=100))
        return self.bench.run(self.bench.request("c5", CycleKind.INCREMENTAL, names(250, start=100), base=base))

    def failed(self, base: int = 2) -> CycleResult:
        with patch("trainer.cycle.take_in", side_effect=RuntimeError("<b>no</b> more memory")):
            return self.bench.run(self.bench.request("c6", CycleKind.INCREMENTAL, ["u1"], base=base))

    def evidence(self, result: CycleResult) -> Evidence:
        found = read_evidence(self.reports / result.cycle_id)
        assert found is not None
        assert found.result == result
        return found


def all_of(folder: Path, *, html: bool = False) -> tuple[Reported, dict[Outcome, CycleResult]]:
    """One cycle of each outcome that is no failure, after a first version."""
    reported = Reported(folder, html=html)
    assert reported.first().outcome is Outcome.REGISTERED
    results = [reported.registered(), reported.refused(), reported.unchanged(), reported.held()]
    return reported, {result.outcome: result for result in results}


def _spoiled(fit: Callable[..., Any], deviations: float) -> Callable[..., Any]:
    """A fit after which the weights of the query tower are noisy, and nobody has noticed."""

    def do(model: TwoTower, *others: Any) -> Any:
        report = fit(model, *others)
        draw = np.random.default_rng(0)
        weights = model.query.get_weights()
        noise = [deviations * one.std() * draw.normal(size=one.shape) for one in weights]
        model.query.set_weights([(one + more).astype("f4") for one, more in zip(weights, noise, strict=True)])
        return report.model_copy(update={"learned": True})

    return do
