"""One cycle, from a request to a result, in eight steps, each safe to repeat.

    read      the claimed users from the feature store, or all of them; the guard may hold the cycle
    embed     into the user matrix
    pair      the graph of similar pairs follows; the guard may hold the cycle
    base      the champion to start from, or a new model
    fit       on the changed users and a replay share, or on all
    gate      champion and challenger on the same held-out users
    package   the folder that is registered
    register  idempotent by cycle id

A cycle that is killed anywhere is run again from the start under the same id; a cycle that has registered answers with
the version it has.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import keras
import numpy as np

from schemas.cycle import CycleRequest, CycleResult, FitReport, GateReport, Outcome, PairReport, ReadReport, Step
from schemas.fault_points import Point, reached
from schemas.guard import GuardReport
from schemas.manifest import SpaceInfo
from trainer.axes import training_axes
from trainer.champion import Opponents, Standing, opponents_of
from trainer.contest import hold
from trainer.errors import ChampionGone
from trainer.features.protocol import FeatureStore
from trainer.fit import Epoch, TrainingData, fit
from trainer.guard import reason, way_out
from trainer.guarding import Watch
from trainer.initial import begin
from trainer.intake import Intake, take_in
from trainer.leavers import note_leavers
from trainer.model import TwoTower, build
from trainer.package import manifest_of, stage
from trainer.population import Population, populate
from trainer.registry.protocol import ModelRegistry, RegisteredVersion
from trainer.report import Reporter
from trainer.slices import note_newcomers
from trainer.space import Space, prune
from trainer.split import Part

_OUTCOMES = {
    "passed": Outcome.INCONCLUSIVE,  # until it is registered
    "rejected": Outcome.REJECTED,
    "inconclusive": Outcome.INCONCLUSIVE,
    "unchanged": Outcome.UNCHANGED,
}


class Cycle:
    """One run of a cycle. The steps are methods, in the order in which `run` takes them."""

    def __init__(self, request: CycleRequest, store: FeatureStore, registry: ModelRegistry, reporter: Reporter) -> None:
        self._request = request
        self._settings = request.settings
        self._store = store
        self._registry = registry
        self._reporter = reporter
        self._spaces = request.settings.work_dir / "spaces"
        # The same cycle draws the same numbers, however often it is repeated.
        seeded = f"{request.settings.fit.seed}:{request.cycle_id}".encode()
        self._seed = int.from_bytes(blake2b(seeded, digest_size=4).digest(), "big")

    def run(self) -> CycleResult:
        """Run the steps that are still to be done.

        Raises:
            TrainerError: the cycle cannot go on; nothing was registered.
            CycleAbandoned: it was told to stop.
        """
        self._registry.enter(self._request.fence)
        reached(Point.ENTERED)
        if (done := self._registry.find(self._request.cycle_id)) is not None:
            return self._registered(done)
        if self._request.only_find:
            return self._absent()
        keras.utils.set_random_seed(self._seed)
        try:
            opponents = opponents_of(self._registry, self._request)
        except ChampionGone as gone:
            return self._ended(Outcome.HELD, str(gone), way_out=gone.way_out)
        champion = opponents.champion
        watch = Watch(self._request, champion, self._seed)
        reading = self._read(champion, watch)
        if reading.guard.holding:
            if reading.space is not None:
                reading.space.close()
            return self._held(reading.guard, reading.report)
        space = self._embed(reading, champion, watch)
        try:
            pairs, guard = self._pair(space, reading.guard, watch)
            if guard.holding:
                return self._held(guard, reading.report, pairs)
            population = populate(space.matrix, self._settings.split)
            model = self._base(space, population, champion)
            fitted = self._fit(space, population, model)
            gate = self._gate(space, population, model if self._is_worth_an_exam(fitted) else None, opponents)
            guard = watch.of_labels(guard, gate.labels_kept, pairs)
            if guard.holding:
                return self._held(guard, reading.report, pairs, fit=fitted, gate=gate)
            result = self._ended(
                _OUTCOMES[gate.outcome],
                gate.reason,
                known_users=population.count,
                read=reading.report,
                pairs=pairs,
                guard=guard,
                fit=fitted,
                gate=gate,
                asks_full=gate.asks_full or guard.asks_full,
                base_version=champion.version if champion else None,
            )
            if gate.outcome != "passed":
                return result
            return self._register(space.info, model, result, reading.rows.refused, champion)
        finally:
            space.close()

    def _held(self, guard: GuardReport, read: ReadReport, pairs: PairReport | None = None, **more: Any) -> CycleResult:
        """Data that are not believed: nothing is learned from them (P9)."""
        out, asks = way_out(guard, self._request.kind), guard.asks_full
        return self._ended(
            Outcome.HELD, reason(guard), read=read, pairs=pairs, guard=guard, way_out=out, asks_full=asks, **more
        )

    def _read(self, champion: Standing | None, watch: Watch) -> Intake:
        with self._reporter.step(Step.READ) as facts:
            taken = take_in(self._request, self._store, champion, watch, self._reporter)
            report = taken.report
            facts |= {"accepted": report.accepted, "deleted": report.deleted, "refused": report.refused_total}
        return taken

    def _embed(self, reading: Intake, champion: Standing | None, watch: Watch) -> Space:
        with self._reporter.step(Step.EMBED) as facts:
            in_use = {reading.info.space_id} | ({champion.manifest.space.space_id} if champion else set())
            prune(self._spaces, in_use)
            folder = self._spaces / reading.info.space_id
            space = reading.space or Space.create(folder, reading.info, self._settings.feature_group)
            if reading.space is not None and champion is not None:
                note_newcomers(folder, champion, space.matrix, reading.rows.keys)
                note_leavers(folder, watch.since, space.matrix, reading.gone, reading.rows.keys)
            space.apply(reading.rows, reading.gone)
            if space.axes() is None:
                train = populate(space.matrix, self._settings.split).of(Part.TRAIN)
                space.keep_axes(training_axes(space.matrix.directions, train))
            facts["users"] = len(space.matrix)
        return space

    def _pair(self, space: Space, earlier: GuardReport, watch: Watch) -> tuple[PairReport, GuardReport]:
        with self._reporter.step(Step.PAIR) as facts:
            report = space.update_pairs(
                self._settings.pairs, lambda done, of: self._reporter.running(Step.PAIR, done, of)
            )
            reached(Point.PAIR_UNFINISHED)
            space.finish(self._request.cycle_id)
            guard = watch.of_space(space, report, earlier)
            facts |= report.model_dump()
        return report, guard

    def _base(self, space: Space, population: Population, champion: Standing | None) -> TwoTower:
        """The champion, optimizer state included; when training from scratch, a new model that keeps the cosine."""
        with self._reporter.step(Step.BASE) as facts:
            if champion is not None and not self._request.kind.from_scratch:
                facts["version"] = champion.version
                return champion.copy()
            policy = self._settings.fit
            model = build(space.info, self._settings.feature_group, policy.dropout, policy.learning_rate)
            threshold = self._settings.pairs.similarity_threshold
            begin(model, space.matrix.directions, population.of(Part.TRAIN), threshold)
            return model

    def _fit(self, space: Space, population: Population, model: TwoTower) -> FitReport:
        policy, follows = self._settings.fit, not self._request.kind.from_scratch
        with self._reporter.step(Step.FIT) as facts:
            rows = np.array(list(space.matrix.rows_of(self._request.users).values()), dtype=np.int64)
            data = TrainingData.of(space, population, rows if follows else None, self._settings, self._seed)
            report = fit(
                model,
                data,
                policy,
                epochs=policy.incremental_epochs if follows else policy.full_epochs,
                learning_rate=policy.incremental_learning_rate if follows else policy.learning_rate,
                seed=self._seed,
                warm_start=follows,
                on_epoch=self._on_epoch,
            )
            facts |= {name: value for name, value in report.model_dump().items() if value is not None}
        return report

    def _on_epoch(self, epoch: Epoch) -> None:
        facts: dict[str, float | int | str] = {"loss": epoch.loss, "train_accuracy": epoch.train_accuracy}
        if epoch.dev_accuracy is not None:
            facts["dev_accuracy"] = epoch.dev_accuracy
        if epoch.dev_recall is not None:
            facts["dev_recall"] = epoch.dev_recall
        if epoch.dev_auc is not None:
            facts["dev_auc"] = epoch.dev_auc
        if epoch.dev_recall_at_50 is not None:
            facts["dev_recall_at_50"] = epoch.dev_recall_at_50
        self._reporter.running(Step.FIT, epoch.number, epoch.of, facts)

    def _is_worth_an_exam(self, fitted: FitReport) -> bool:
        """Whether there is a challenger: something was learned, or is registered all the same."""
        return fitted.learned or self._request.kind.from_scratch or self._settings.gate.register_unchanged

    def _gate(self, space: Space, population: Population, model: TwoTower | None, opponents: Opponents) -> GateReport:
        with self._reporter.step(Step.GATE) as facts:
            report = hold(space, population, model, opponents, self._request, self._spaces, self._seed)
            facts["outcome"] = report.outcome
            for name, metrics in (("challenger", report.challenger), ("champion", report.champion)):
                if metrics is not None:
                    facts[f"{name}_accuracy"] = metrics.accuracy
            if report.lower_bound is not None:
                facts["lower_bound"] = report.lower_bound
        return report

    def _register(
        self,
        info: SpaceInfo,
        model: TwoTower,
        result: CycleResult,
        refused: dict[str, str],
        champion: Standing | None,
    ) -> CycleResult:
        staged = self._settings.work_dir / "cycles" / self._request.cycle_id / "model"
        with self._reporter.step(Step.PACKAGE) as facts:
            manifest = stage(staged, model, manifest_of(self._request, info, result, champion), refused)
            facts |= {"files": len(manifest.files), "bytes": sum(entry.size for entry in manifest.files)}
        with self._reporter.step(Step.REGISTER) as facts:
            self._reporter.ask(Step.REGISTER)
            reached(Point.REGISTER_PERMITTED)
            registered = self._registry.register(staged, self._request.fence, self._request.above)
            facts["version"] = registered.version
        return self._registered(registered)

    def _absent(self) -> CycleResult:
        return self._ended(Outcome.FAILED, "the registry has no version of this cycle", absent=True)

    def _ended(self, outcome: Outcome, reason: str, **more: Any) -> CycleResult:
        """A result without a version."""
        told = {"base_version": self._request.base_version, "fence": self._request.fence, **more}
        return CycleResult(
            cycle_id=self._request.cycle_id,
            outcome=outcome,
            reason=reason,
            seconds=self._reporter.seconds,
            **told,
        )

    def _registered(self, found: RegisteredVersion) -> CycleResult:
        """The result of a cycle that has registered, told from what it registered."""
        manifest = found.manifest
        return CycleResult(
            cycle_id=manifest.cycle_id,
            outcome=Outcome.REGISTERED,
            reason=manifest.gate_report.reason,
            base_version=manifest.base_version,
            version=found.version,
            known_users=manifest.pair_report.users,
            fence=self._request.fence,
            read=manifest.read_report,
            pairs=manifest.pair_report,
            guard=manifest.guard_report,
            fit=manifest.fit_report,
            gate=manifest.gate_report,
            asks_full=manifest.gate_report.asks_full or (manifest.guard_report and manifest.guard_report.asks_full),
            seconds=self._reporter.seconds,
        )
