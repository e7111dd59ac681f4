"""Every row there is to measure, with its target, and the function that measures it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module

from benchmarks.rows import NO_TARGET, Row, Setup


@dataclass(frozen=True, slots=True)
class Case:
    """A benchmark: one function, run in a process of its own, and the rows it has to give, each with its target.

    It may give more rows, which are shown behind them: one a data set, say.
    """

    function: str
    """`module:function`, of package benchmarks."""
    targets: dict[str, str]
    longer: int = 1
    """How many times as long as the others it may take before it is given up."""

    @property
    def name(self) -> str:
        """What it is called while it runs."""
        return " and ".join(self.targets)

    def run(self, setup: Setup) -> list[Row]:
        """Measure."""
        module, function = self.function.split(":")
        rows: list[Row] = getattr(import_module(f"benchmarks.{module}"), function)(setup)
        if lacking := self.targets.keys() - {row.name for row in rows}:
            raise LookupError(f"{self.function} gave no row {', '.join(sorted(lacking))}")
        return rows


CASES: tuple[Case, ...] = (
    Case("incremental:vs_seed", {"pairs.incremental_vs_seed": "ratio >= 1,000"}),
    Case(
        "incremental:vs_libraries",
        {
            "pairs.incremental_vs_faiss": "ratio >= 2",
            "pairs.incremental_vs_panorama": "ratio >= 2",
            "pairs.incremental_vs_sklearn": "ratio >= 3",
        },
    ),
    Case("full:vs_product", {"pairs.full_vs_product": "ratio >= 1.2"}),
    Case("growth:growth", {"pairs.growth": "<= 1.05"}),
    Case("gpu:on_gpu", {"pairs.gpu": "ratio >= 1", "fit.gpu": "ratio >= 1"}),
    Case("memory:memory", {"pairs.memory": "<= 1,024"}),
    Case("fits.step:parts", {"fit.step": "ratio >= 0.9"}),
    Case("fits.fit:pairs_per_second", {"fit.pairs_per_second": "ratio >= 100"}),
    Case(
        "fits.fit:quality",
        {
            "fit.time_to_seed_quality": "ratio >= 10",
            "fit.quality_third": ">= 0.6, accuracy >= 0.965",
            "fit.quality": ">= 0.78, accuracy >= 0.98",
            "fit.quality.from_noise": ">= 0.78, accuracy >= 0.98",
        },
    ),
    Case("cycles:vs_full", {"cycle.incremental_vs_full": "ratio >= 20"}),
    Case("waves:keeps_up", {"cycle.keeps_up": "accuracy >= -0.005, recall@10 >= -0.02"}),
    Case("outcomes:twitch", {"outcomes.auc.twitch": ">= 0.7", "outcomes.recall50.twitch": ">= 0.115"}),
    Case("outcomes:lastfm", {"outcomes.auc.lastfm": ">= 0.79", "outcomes.recall50.lastfm": ">= 0.39"}),
    Case("outcomes:stream", {"outcomes.stream": "<= 0.2, AUC within 0.01, recall@50 within 5 %"}),
    Case("outcomes:fit_seconds", {"outcomes.fit_seconds": "not slower"}),
    Case(
        "spaces:compatible",
        {"spaces.compatible.generated": ">= 0.9", "spaces.compatible.twitch": ">= 0.6, recall@10 >= 0.6"},
    ),
    Case("ledger_scale:pending", {"ledger.turn": "<= 20", "ledger.claim": "<= 10"}),
    Case("ledger_scale:history", {"ledger.history": "<= 50", "ledger.registry": "<= 100"}),
    Case("serve.swap:swap", {"serve.swap": "<= 0, p99 below 2 times the quiet one"}),
    Case("ingest.rate:rates", {"ingest.durable_vs_bare": "ratio >= 0.8", "ingest.vs_quix": "ratio >= 2.5"}),
    Case("ingest.watched:watched", {"ingest.watched": "ratio >= 0.95"}),
    Case("sizing.sizes:users_2000", {"sizing.2000": NO_TARGET}),
    Case("sizing.sizes:users_10000", {"sizing.10000": NO_TARGET}),
    Case("sizing.sizes:users_30000", {"sizing.30000": NO_TARGET}),
    Case("sizing.sizes:users_100000", {"sizing.100000": NO_TARGET}),
    Case("scale.sizes:users_100000", {"scale.100000.full": NO_TARGET, "scale.100000.incremental": NO_TARGET}),
    Case("scale.sizes:users_300000", {"scale.300000.full": NO_TARGET, "scale.300000.incremental": NO_TARGET}),
    Case(
        "scale.sizes:users_1000000", {"scale.1000000.full": NO_TARGET, "scale.1000000.incremental": NO_TARGET}, longer=4
    ),
)


def chosen(cases: Iterable[Case], prefix: str) -> list[Case]:
    """The cases that measure a row whose name begins with `prefix`, or the one whose name it is."""
    cases = list(cases)
    if exact := [case for case in cases if prefix in case.targets]:
        return exact
    return [case for case in cases if any(name.startswith(prefix) for name in case.targets)]
