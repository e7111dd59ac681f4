"""One cycle, from a request to a result, in nine steps, each safe to repeat.

    read      the claimed users and labels from their stores, or all of them; the guard may hold the cycle
    embed     into the user matrix and the label book
    pair      the graph of similar pairs is updated; the guard may hold the cycle
    base      the champion to start from, or a new model
    probe     the champion is scored on the changes before the fit
    fit       on the changed users and a replay share, or on all
    gate      champion and challenger on the same held-out users
    package   the folder that is registered
    register  idempotent by cycle id

A cycle that is killed runs again from the start under the same id. A cycle that has registered returns its version.
"""

from __future__ import annotations

from hashlib import blake2b

import keras

from schemas.cycle import CycleRequest, CycleResult, FitReport, GateReport, Outcome, ProbeReport, Step
from schemas.fault_points import Point, reached
from schemas.guard import GuardReport
from schemas.manifest import SpaceInfo
from stores.feature_store import FeatureStore
from stores.label_store import LabelStore
from stores.model_registry import ModelRegistry
from trainer.distributed.cluster import mining_engine, workers_of
from trainer.errors import ChampionGone
from trainer.evidence.keeper import EvidenceKeeper
from trainer.gate.contest import run_contest
from trainer.gate.pending_probe import probe_pending
from trainer.gate.probe import lost_no_more, probe
from trainer.gate.slices import note_newcomers
from trainer.guard.cycle_guard import CycleGuard
from trainer.intake import Intake, take_in
from trainer.label_intake import LabelIntake
from trainer.labels.outcomes import Outcomes
from trainer.learning.cycle_fit import changed_rows, fit_cycle
from trainer.learning.fit import Epoch
from trainer.learning.initial_weights import set_initial_weights
from trainer.learning.rotation import rotate_onto
from trainer.matrix.axes import training_axes
from trainer.matrix.departures import note_departures
from trainer.matrix.population import Population, populate
from trainer.matrix.split import Part
from trainer.model import TwoTower, build, with_dropout
from trainer.opponents import LoadedVersion, Opponents, opponents_of
from trainer.package import manifest_of, stage
from trainer.progress import Reporter
from trainer.refused_users import keep_refused, keep_refused_of
from trainer.results import CycleResults
from trainer.space import Space, prune

_EPOCH_FIGURES = ("loss", "train_accuracy", "dev_accuracy", "dev_recall", "dev_auc", "dev_recall_at_50")


class Cycle:
    """One run of a cycle. The steps are methods, in the order in which `run` takes them."""

    def __init__(
        self,
        request: CycleRequest,
        store: FeatureStore,
        label_store: LabelStore | None,
        registry: ModelRegistry,
        reporter: Reporter,
        evidence: EvidenceKeeper,
    ) -> None:
        self._request = request
        self._settings = request.settings
        self._store = store
        self._label_store = label_store
        self._registry = registry
        self._reporter = reporter
        self._evidence = evidence
        self._results = CycleResults(request, reporter.seconds, reporter.starts)
        self._spaces = request.settings.work_dir / "spaces"
        # The same cycle draws the same numbers, however often it is repeated.
        seeded = f"{request.settings.fit.seed}:{request.cycle_id}".encode()
        self._seed = int.from_bytes(blake2b(seeded, digest_size=4).digest(), "big")

    def run(self) -> CycleResult:
        """Run the cycle; a cycle that has registered only returns its result.

        Raises:
            TrainerError: the cycle cannot go on; nothing was registered.
            CycleAbandoned: the process was asked to stop.
        """
        self._registry.enter(self._request.fence)
        reached(Point.ENTERED)
        if (done := self._registry.find(self._request.cycle_id)) is not None:
            keep_refused_of(self._request, self._registry, done)
            return self._results.registered(done)
        if self._request.lookup_only:
            return self._results.not_registered()
        keras.utils.set_random_seed(self._seed)
        try:
            opponents = opponents_of(self._registry, self._request)
        except ChampionGone as gone:
            return self._results.ended(Outcome.HELD, str(gone), way_out=gone.way_out)
        champion = opponents.champion
        if self._request.only_probe:
            return self._only_probed(champion)
        watch = CycleGuard(self._request, champion, self._seed)
        taken = self._read(champion, watch)
        if taken.guard.holding:
            if taken.space is not None:
                taken.space.close()
            return self._results.held(taken.guard)
        space = self._embed(taken, champion, watch)
        try:
            guard = self._pair(space, taken.guard, watch)
            if guard.holding:
                return self._results.held(guard)
            population = populate(space.matrix, self._settings.split)
            opponents = opponents.remembering()  # from here on no row changes
            champion = opponents.champion
            outcomes = self._outcomes(space, population, taken.labels)
            model = self._base(space, population, champion)
            probe = self._probe(space, population, outcomes, champion)
            if probe is not None and self._nothing_is_lost(probe, taken):
                return self._results.ended(
                    Outcome.UNCHANGED, f"not trained: {probe.summary}", asks_full=guard.asks_full
                )
            fitted = self._fit(space, population, outcomes, model)
            self._rotate(space, population, model, champion)
            challenger = model if self._is_worth_an_exam(fitted) else None
            gate = self._gate(space, population, outcomes, challenger, opponents)
            guard = watch.of_labels(guard, gate.labels_kept, self._results.parts["pairs"])
            if guard.holding:
                return self._results.held(guard)
            result = self._results.judged(gate, asks_full=gate.asks_full or guard.asks_full)
            if gate.outcome != "passed":
                return result
            return self._register(space.info, model, result, taken.rows.refused, champion)
        finally:
            space.close()

    def _only_probed(self, champion: LoadedVersion | None) -> CycleResult:
        """The champion's score on what is pending; nothing is changed, and nothing settled."""
        if champion is None:
            return self._results.ended(Outcome.FAILED, "there is no version to probe")
        report = probe_pending(self._request, self._store, self._label_store, champion, self._reporter, self._seed)
        return self._results.ended(Outcome.PROBED, report.summary, probe=report, base_version=champion.version)

    def _read(self, champion: LoadedVersion | None, watch: CycleGuard) -> Intake:
        with self._reporter.step(Step.READ) as facts:
            taken = take_in(self._request, self._store, self._label_store, champion, watch, self._reporter)
            keep_refused(self._request, taken.rows.refused, taken.labels.labels.refused if taken.labels else {})
            report = taken.report
            facts |= {"accepted": report.accepted, "deleted": report.deleted, "refused": report.refused_total}
            if taken.labels is not None:
                facts["labels"] = len(taken.labels.labels.pairs)
        self._results.parts |= {
            "read": report,
            "guard": taken.guard,
            "base_version": champion.version if champion else None,
        }
        return taken

    def _embed(self, taken: Intake, champion: LoadedVersion | None, watch: CycleGuard) -> Space:
        with self._reporter.step(Step.EMBED) as facts:
            in_use = {taken.info.space_id} | ({champion.manifest.space.space_id} if champion else set())
            prune(self._spaces, in_use)
            folder = self._spaces / taken.info.space_id
            space = taken.space or Space.create(folder, taken.info, self._settings.feature_group)
            if taken.space is not None and champion is not None:
                note_newcomers(folder, champion, space.matrix, taken.rows.keys, taken.gone)
                note_departures(folder, watch.since, space.matrix, taken.gone, taken.rows.keys)
            space.apply(taken.rows, taken.gone)
            if taken.labels is not None:
                taken.labels.into(space.labels())
            else:
                space.forget_labels()
            if space.axes() is None:
                train = populate(space.matrix, self._settings.split).of(Part.TRAIN)
                space.keep_axes(training_axes(space.matrix.directions, train))
            facts["users"] = len(space.matrix)
        return space

    def _pair(self, space: Space, earlier: GuardReport, watch: CycleGuard) -> GuardReport:
        with self._reporter.step(Step.PAIR) as facts:
            settings = self._settings
            with mining_engine(settings.engine, settings.ray, space.info.space_id) as engine:
                report = space.update_pairs(
                    settings.pairs, lambda done, of: self._reporter.running(Step.PAIR, done, of), engine
                )
            reached(Point.PAIR_UNFINISHED)
            space.finish(self._request.cycle_id)
            guard = watch.of_space(space, report, earlier)
            facts |= report.model_dump()
        self._results.parts |= {"pairs": report, "guard": guard, "known_users": report.users}
        return guard

    def _outcomes(self, space: Space, population: Population, taken: LabelIntake | None) -> Outcomes | None:
        """The labels as rows of the space; None where there is no label group."""
        if taken is None:
            return None
        book = space.labels()
        known = book.known_labels(taken.group, space.matrix, population, self._request.labels)
        self._results.parts["labels"] = taken.report(known, book)
        return known.outcomes

    def _base(self, space: Space, population: Population, champion: LoadedVersion | None) -> TwoTower:
        """The champion, optimizer state included; when training from scratch, a new model that keeps the cosine."""
        with self._reporter.step(Step.BASE) as facts:
            policy = self._settings.fit
            if champion is not None and not self._request.kind.from_scratch:
                facts["version"] = champion.version
                return with_dropout(champion.copy(), policy.dropout)
            model = build(space.info, self._settings.feature_group, policy.dropout, policy.learning_rate)
            threshold = self._settings.pairs.similarity_threshold
            set_initial_weights(model, space.matrix.directions, population.of(Part.TRAIN), threshold)
            return model

    def _probe(
        self, space: Space, population: Population, outcomes: Outcomes | None, champion: LoadedVersion | None
    ) -> ProbeReport | None:
        """The champion's score on what it has not learned, before the fit; None without a champion."""
        with self._reporter.step(Step.PROBE) as facts:
            if champion is None or self._request.kind.from_scratch:
                return None
            rows, matrix = changed_rows(self._request, space), space.matrix
            report = probe(
                champion, matrix.raw, matrix.directions, population, rows, outcomes, self._settings, self._seed
            )
            facts |= {name: value for name, value in report.model_dump().items() if value is not None}
        self._results.parts["probe"] = report
        return report

    def _nothing_is_lost(self, probe: ProbeReport, taken: Intake) -> bool:
        """Whether the champion has lost so little on the changes that they are settled without a fit.

        Deleted users and labels cannot be scored, so with deletions the answer is no.
        """
        most, deleted = self._request.settle_below, taken.gone or (taken.labels and taken.labels.deleted)
        return most is not None and not deleted and lost_no_more(probe, most)

    def _fit(self, space: Space, population: Population, outcomes: Outcomes | None, model: TwoTower) -> FitReport:
        with self._reporter.step(Step.FIT) as facts:
            report = fit_cycle(model, space, population, outcomes, self._request, self._seed, self._on_epoch)
            facts |= {name: value for name, value in report.model_dump().items() if value is not None}
        self._results.parts["fit"] = report
        return report

    def _rotate(self, space: Space, population: Population, model: TwoTower, champion: LoadedVersion | None) -> None:
        """Rotate a model that was trained from scratch onto the champion's space (P10); no cosine of it changes."""
        if champion is not None and self._request.kind.from_scratch:
            rotate_onto(champion.model, model, space.matrix.raw, population.of(Part.TRAIN))

    def _on_epoch(self, epoch: Epoch) -> None:
        self._evidence.on_epoch(epoch)
        figures = {name: getattr(epoch, name) for name in _EPOCH_FIGURES}
        facts = {name: value for name, value in figures.items() if value is not None}
        self._reporter.running(Step.FIT, epoch.number, epoch.of, facts)

    def _is_worth_an_exam(self, fitted: FitReport) -> bool:
        """Whether there is a challenger: something was learned, or the version is registered in any case."""
        return fitted.learned or self._request.kind.from_scratch or self._settings.gate.register_unchanged

    def _gate(
        self,
        space: Space,
        population: Population,
        outcomes: Outcomes | None,
        model: TwoTower | None,
        opponents: Opponents,
    ) -> GateReport:
        with self._reporter.step(Step.GATE) as facts:
            with workers_of(self._settings.engine, self._settings.ray) as workers:
                report, compatibility = run_contest(
                    space,
                    population,
                    model,
                    opponents,
                    self._request,
                    self._spaces,
                    self._seed,
                    outcomes,
                    lambda seen: self._evidence.examined(seen, space.matrix.keys_of, self._seed),
                    workers,
                )
            facts["outcome"] = report.outcome
            for name, metrics in (("challenger", report.challenger), ("champion", report.champion)):
                if metrics is not None:
                    facts[f"{name}_accuracy"] = metrics.accuracy
                if metrics is not None and metrics.outcome_auc is not None:
                    facts[f"{name}_outcome_auc"] = metrics.outcome_auc
            if report.lower_bound is not None:
                facts["lower_bound"] = report.lower_bound
            if compatibility is not None:
                facts["index_kept"] = compatibility.kept
        self._results.parts |= {"gate": report, "compatibility": compatibility}
        return report

    def _register(
        self,
        info: SpaceInfo,
        model: TwoTower,
        result: CycleResult,
        refused: dict[str, str],
        champion: LoadedVersion | None,
    ) -> CycleResult:
        staged = self._settings.work_dir / "cycles" / self._request.cycle_id / "model"
        with self._reporter.step(Step.PACKAGE) as facts:
            manifest = stage(
                staged,
                model,
                manifest_of(self._request, info, result, champion),
                refused,
                self._request,
                self._evidence.page(result),
                served=self._settings.deployment is not None,
            )
            facts |= {"files": len(manifest.files), "bytes": sum(entry.size for entry in manifest.files)}
        with self._reporter.step(Step.REGISTER) as facts:
            self._reporter.ask(Step.REGISTER)
            reached(Point.REGISTER_PERMITTED)
            registered = self._registry.register(staged, self._request.fence, self._request.min_version_exclusive)
            facts["version"] = registered.version
        return self._results.registered(registered)
