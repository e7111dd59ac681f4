"""Runs the cycle of a version again, up to its fit, and compares the two models on the rows that were read."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from schemas.cycle import CycleRequest, FitReport, GateReport, Progress, TrainerSettings
from schemas.engine import Device
from schemas.guard import GuardName
from schemas.hopsworks import HopsworksStore
from schemas.jobs.reproduction import Claimed, Reproduction, ReproductionRequest
from schemas.manifest import MODEL_FILE, ModelManifest
from stores.feature_store import FeatureStore
from stores.registry.files import read_manifest
from stores.registry.opening import open_registry
from trainer.claimed import read_claimed
from trainer.cycle import Cycle
from trainer.device import RECORDED, in_use, settle
from trainer.errors import ClaimUnknown, TrainerError
from trainer.evidence.keeper import EvidenceKeeper
from trainer.exam.evaluate import score
from trainer.exam.exam import prepare_exam
from trainer.labels.outcomes import Outcomes
from trainer.matrix.embeddings import Rows
from trainer.matrix.population import Population
from trainer.model import CANDIDATE, QUERY, TwoTower, load
from trainer.opponents import Opponents
from trainer.progress import Reporter
from trainer.reproduction.distance import calls, same_weights, tower_distance
from trainer.reproduction.read_only import ReadOnlyRegistry
from trainer.reproduction.verdict import verdict
from trainer.run import open_label_store, open_store
from trainer.space import Space

_MOST_USERS = 20_000  # whose embeddings are compared
_SCRATCH = "reproduction"


class _Fitted(Exception):  # noqa: N818  (a signal, not a fault)
    """The model is trained and compared: the gate, which would be next, decides nothing here."""


class _Again(Cycle):
    """A cycle that ends where the gate would begin; `compare` is called with what the gate would have got."""

    def __init__(self, *args: object, compare: Callable[[Space, Population, TwoTower, FitReport], None]) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self._compare = compare
        self._trained: tuple[TwoTower, FitReport] | None = None

    def _fit(self, space: Space, population: Population, outcomes: Outcomes | None, model: TwoTower) -> FitReport:
        report = super()._fit(space, population, outcomes, model)
        self._trained = model, report
        return report

    def _gate(
        self,
        space: Space,
        population: Population,
        outcomes: Outcomes | None,  # noqa: ARG002
        model: TwoTower | None,  # noqa: ARG002
        opponents: Opponents,  # noqa: ARG002
    ) -> GateReport:
        assert self._trained is not None
        trained, report = self._trained
        self._compare(space, population, trained, report)
        raise _Fitted


def reproduce(request: ReproductionRequest, send: Callable[[Progress], None]) -> Reproduction:
    """Train a version again, and compare.

    Args:
        request: which version, and where everything is. Stores and registry are only read.
        send: gets each line of progress.

    Raises:
        RetrainerError: the version, its base or what its cycle had claimed is not to be had, or the cycle fails.
    """
    registry = open_registry(request.settings)
    folder = registry.fetch(request.version)
    manifest = read_manifest(folder)
    claimed = read_claimed(folder) or request.claimed
    if claimed is None and not manifest.kind.from_scratch:
        raise ClaimUnknown(
            f"version {request.version} does not tell which users its cycle had claimed: an earlier release made it"
        )
    cycle = _cycle_request(request, manifest, claimed or Claimed(users=()))
    found: list[Reproduction] = []

    def compare(space: Space, population: Population, again: TwoTower, fit: FitReport) -> None:
        found.append(_compared(request, manifest, folder, space, population, again, fit, as_of))

    settle(cycle.settings.device)
    with ExitStack() as opened:
        store, as_of = _store(cycle.settings, request.as_of)
        opened.enter_context(closing(store))
        label_store = open_label_store(cycle.settings)
        if label_store is not None:
            opened.enter_context(closing(label_store))
        reporter = Reporter(cycle.cycle_id, send, lambda: False, lambda _: True)
        past = ReadOnlyRegistry(registry, request.version)
        try:
            result = _Again(cycle, store, label_store, past, reporter, EvidenceKeeper(cycle), compare=compare).run()
        except _Fitted:
            return found[0]
    raise TrainerError(f"version {request.version} cannot be trained again: {result.reason}") from None


def _store(settings: TrainerSettings, then: datetime | None) -> tuple[FeatureStore, datetime | None]:
    """The feature store, read as it was `then` where it keeps history; and that time, or None for today's rows."""
    if then is None or not isinstance(settings.feature_store, HopsworksStore):
        return open_store(settings), None
    from stores.features.hopsworks import HopsworksFeatureStore
    from stores.hopsworks.session import session_with

    assert settings.hopsworks is not None
    session = session_with(settings.hopsworks)
    past = HopsworksFeatureStore(session, settings.feature_store, settings.feature_group, then)
    return past, then if past.keeps_history else None


def scratch_of(settings: TrainerSettings) -> Path:
    """The folder in which versions are trained again; what is in it is of no use afterwards."""
    return settings.work_dir / _SCRATCH


def _cycle_request(request: ReproductionRequest, manifest: ModelManifest, claimed: Claimed) -> CycleRequest:
    """The request of the cycle: what the version tells of itself, with stores and registry where they are today."""
    settings = request.settings.model_copy(
        update={
            "feature_group": manifest.feature_group,
            "labels": manifest.labels,
            "work_dir": scratch_of(request.settings),
            "reports_dir": None,
            # What a processor has made, a GPU makes otherwise.
            "device": request.settings.device if RECORDED in manifest.packages else Device.CPU,
            **{name: getattr(manifest, name) for name in ("pairs", "split", "fit", "gate", "guard")},
        }
    )
    return CycleRequest(
        cycle_id=manifest.cycle_id,  # the seed of all draws comes from it
        kind=manifest.kind,
        reason=manifest.reason,
        base_version=manifest.base_version,
        accept=tuple(GuardName),  # nothing is promoted: what the guard would hold is only compared
        users=claimed.users,
        labels=claimed.labels,
        recently_learned_users=claimed.recently_learned_users,
        recently_learned_labels=claimed.recently_learned_labels,
        lineage=manifest.lineage,
        settings=settings,
    )


def _compared(
    request: ReproductionRequest,
    manifest: ModelManifest,
    folder: Path,
    space: Space,
    population: Population,
    again: TwoTower,
    fit: FitReport,
    as_of: datetime | None,
) -> Reproduction:
    original = load(folder / MODEL_FILE)
    raw = space.matrix.raw
    everyone: Rows = population.everyone[:: max(1, -(-len(population.everyone) // _MOST_USERS))]
    examined = population.holdout[: manifest.gate.max_users]
    exam = prepare_exam(raw, space.matrix.directions, examined, population.everyone, manifest.pairs, fit.seed)
    query, candidate = (tower_distance(original, again, name, raw, everyone) for name in (QUERY, CANDIDATE))
    called = calls(original, again, raw, examined, population.everyone)
    notes = tuple(_notes(manifest, len(population.everyone), fit))
    identical = same_weights(original, again)
    return Reproduction(
        version=request.version,
        cycle_id=manifest.cycle_id,
        kind=manifest.kind,
        identical=identical,
        users=len(everyone),
        pairs=called.pairs,
        called=called.either,
        agreement=called.agreement,
        query=query,
        candidate=candidate,
        recorded=manifest.metrics,
        original=score(original, exam).metrics,
        again=score(again, exam).metrics,
        fit=fit,
        recorded_fit=manifest.fit_report,
        packages=_differing(manifest.packages),
        rows_as_of=as_of,
        notes=notes,
        verdict=verdict(identical, called.agreement, (query, candidate), notes),
    )


def _notes(manifest: ModelManifest, users: int, fit: FitReport) -> list[str]:
    notes = []
    if users != manifest.pair_report.users:
        notes.append(f"{users} users have a row and a direction now; {manifest.pair_report.users} had a row then")
    if fit.users != manifest.fit_report.users:
        notes.append(f"{fit.users} users were trained on now, {manifest.fit_report.users} then")
    return notes


def _differing(then: dict[str, str]) -> dict[str, tuple[str | None, str | None]]:
    """Packages whose version is another one now."""
    now = {name: _installed(name) for name in then}
    return {name: (then[name], now[name]) for name in then if then[name] != now[name]}


def _installed(name: str) -> str | None:
    if name == "python":
        return platform.python_version()
    if name == RECORDED:
        return in_use() or "none"
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"  # as a manifest says it
