"""A place where cycles are run: a registry and a work directory beside a local feature store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from schemas.cycle import CycleKind, CycleRequest, CycleResult, Lineage, LocalRegistry, LocalStore, TrainerSettings
from schemas.features import FeatureGroup
from schemas.manifest import MODEL_FILE, ModelManifest
from schemas.reports import VersionFigures
from stores.registry.local import LocalModelRegistry
from trainer.exam.exam import Exam, prepare_exam
from trainer.matrix.population import populate
from trainer.model import TwoTower, load
from trainer.run import run_cycle
from trainer.space import Space


class Site:
    """Runs cycles as the service has them run, and keeps what the service's ledger would: champion and baseline."""

    def __init__(self, folder: Path, store: Path, group: FeatureGroup, **policies: Any) -> None:
        self.settings = TrainerSettings(
            feature_group=group,
            feature_store=LocalStore(path=store),
            model_registry=LocalRegistry(path=folder / "registry"),
            work_dir=folder / "work",
            **policies,
        )
        self._registry = LocalModelRegistry(folder / "registry", self.settings.model_name)
        self.champion: int | None = None
        self._baseline: int | None = None
        self._since: list[CycleResult] = []
        self._versions: list[VersionFigures] = []

    def run(
        self, cycle_id: str, users: Sequence[str], *, full: bool = False, accept: Sequence[Any] = ()
    ) -> CycleResult:
        """A cycle to its end: the first one, a full retrain, or an incremental one on top of the champion."""
        keras.backend.clear_session()
        kind = CycleKind.BOOTSTRAP if self.champion is None else CycleKind.FULL if full else CycleKind.INCREMENTAL
        request = CycleRequest(
            cycle_id=cycle_id,
            kind=kind,
            reason="a study",
            base_version=self.champion,
            baseline_version=self._baseline,
            best_since=self._best_since(),
            accept=tuple(accept),
            users=tuple(users),
            earlier_versions=tuple(self._versions),
            lineage=Lineage(offsets={}, changed_users=len(users)),
            settings=self.settings,
        )
        result = run_cycle(request, lambda _line: None, lambda: False)
        assert result is not None
        if result.version is not None:
            self.champion = result.version
            self._versions.append(_figures(self.manifest(result.version), result.version))
            if kind.from_scratch:
                self._baseline, self._since = result.version, []
            else:
                self._since.append(result)
        return result

    def model(self, version: int) -> TwoTower:
        """A registered model."""
        return load(self._registry.fetch(version) / MODEL_FILE)

    def manifest(self, version: int) -> ModelManifest:
        """What a registered version is."""
        return ModelManifest.model_validate_json((self._registry.fetch(version) / "manifest.json").read_bytes())

    def exam(self, version: int) -> Exam:
        """The held-out users in the embedding space of `version`, as its own gate asks about them."""
        manifest, settings = self.manifest(version), self.settings
        folder = settings.work_dir / "spaces" / manifest.space.space_id
        space = Space.open(folder, manifest.space, settings.feature_group)
        assert space is not None
        people = populate(space.matrix, settings.split)
        return prepare_exam(
            space.matrix.raw, space.matrix.directions, people.holdout, people.everyone, settings.pairs, seed=0
        )

    def _best_since(self) -> tuple[int, ...]:
        """The best versions since the last one from scratch, by what they scored then; today they are scored again."""
        named: dict[int, None] = {}
        for figure in ("accuracy", "precision", "recall", "average_precision", "recall_at_10"):
            told = [one for one in self._since if one.version and one.gate and one.gate.challenger]
            best = max(told, key=lambda one: getattr(one.gate.challenger, figure) or 0.0, default=None)  # type: ignore[union-attr]
            if best is not None and best.version is not None:
                named[best.version] = None
        return tuple(version for version in named if version != self.champion)[:3]


def _figures(manifest: ModelManifest, version: int) -> VersionFigures:
    metrics = manifest.metrics
    return VersionFigures(
        version=version,
        registered_at=manifest.created_at,
        kind=manifest.kind.value,
        accuracy=metrics.accuracy,
        average_precision=metrics.average_precision,
        recall_at_10=metrics.recall_at_10,
        outcome_auc=metrics.outcome_auc,
        recall_at_50=metrics.recall_at_50,
    )
