"""A cycle from request to version, through the real trainer: every kind, repeats, refusals, and what it leaves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schemas.cycle import (
    CycleKind,
    CycleRequest,
    CycleResult,
    FitReport,
    Lineage,
    Outcome,
    Progress,
    Slice,
    Step,
    TrainerSettings,
)
from schemas.guard import GuardName
from schemas.manifest import MODEL_FILE, ModelManifest
from schemas.refused import NAMED, USER, refused_by
from schemas.stores.calls import Call, CalledAt, CallOutcome
from stores.errors import StaleFence
from stores.features.local import LocalFeatureStore
from stores.features.reading import read_all
from stores.registry.local import LocalModelRegistry
from tests.worlds import GROUP, World, names, trainer_settings
from trainer.learning.fit import TrainingData, fit
from trainer.matrix.split import Part, split
from trainer.model import TwoTower, load
from trainer.run import run_cycle
from trainer.space import Space


class Bench:
    """A store of 400 users, a registry, and a way to run cycles on them; `template` is one that has bootstrapped."""

    def __init__(self, folder: Path, template: Path | None = None) -> None:
        if template is not None:
            shutil.copytree(template, folder, dirs_exist_ok=True)
        self.settings = trainer_settings(folder)
        self.world = World()
        self.store = LocalFeatureStore(folder / "store.db", GROUP)
        self.registry_folder = folder / "registry"
        self.registry = LocalModelRegistry(self.registry_folder, self.settings.model_name)
        self.progress: list[Progress] = []
        everyone = self.world.rows(names(400))
        if template is None:
            self.store.commit(everyone)

    def request(
        self,
        cycle_id: str,
        kind: CycleKind,
        users: list[str] | None = None,
        base: int | None = None,
        settings: TrainerSettings | None = None,
    ) -> CycleRequest:
        changed = tuple(users or ())
        return CycleRequest(
            cycle_id=cycle_id,
            kind=kind,
            reason="the test says so",
            base_version=base,
            baseline_version=1 if base else None,
            users=changed,
            lineage=Lineage(offsets={"t": {0: (0, 7)}}, changed_users=len(changed)),
            settings=settings or self.settings,
        )

    def run(self, request: CycleRequest, stopping: Callable[[], bool] = lambda: False) -> CycleResult:
        result = run_cycle(request, self.progress.append, stopping)
        assert result is not None
        return result


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which cycle c1 has registered version 1."""
    folder = tmp_path_factory.mktemp("bootstrapped")
    bench = Bench(folder)
    result = bench.run(bench.request("c1", CycleKind.BOOTSTRAP))
    assert result.outcome is Outcome.REGISTERED, result
    bench.store.close()
    return folder


@pytest.fixture
def started(tmp_path: Path, template: Path) -> Bench:
    return Bench(tmp_path, template)


def test_a_bootstrap_reads_everyone_and_registers_version_one(bench: Bench) -> None:
    result = bench.run(bench.request("c1", CycleKind.BOOTSTRAP))
    assert (result.outcome, result.version, result.base_version) == (Outcome.REGISTERED, 1, None)
    assert result.read is not None
    assert result.read.accepted == result.known_users == 400
    assert result.gate is not None
    assert result.gate.challenger is not None
    assert result.gate.champion is None
    done = [line.step for line in bench.progress if line.state == "done"]
    assert done == list(Step)
    assert result.seconds.keys() == set(Step)
    epochs = [line for line in bench.progress if line.step is Step.FIT and line.state == "running"]
    assert [line.done for line in epochs] == list(range(1, 9))
    assert {"train_accuracy", "dev_accuracy"} <= epochs[0].facts.keys()
    called = {(one.where, one.call): (one.outcome, one.count) for one in result.calls}
    assert called[CalledAt.FEATURES, Call.SNAPSHOT] == (CallOutcome.OK, 1)
    for call in (Call.ENTER, Call.FIND, Call.REGISTER):
        assert called[CalledAt.REGISTRY, call] == (CallOutcome.OK, 1)


@pytest.mark.full
def test_an_incremental_cycle_follows_changes_new_users_and_deletes(started: Bench) -> None:
    users = [*names(20), *names(10, start=400), *names(30, start=50)]
    started.store.commit(started.world.rows([*names(20), *names(10, start=400)]), names(30, start=50))
    result = started.run(started.request("c2", CycleKind.INCREMENTAL, users, base=1))
    assert (result.outcome, result.version, result.base_version) == (Outcome.REGISTERED, 2, 1)
    assert result.read is not None
    assert (result.read.accepted, result.read.deleted) == (30, 30)
    assert result.known_users == 380
    assert result.pairs is not None
    assert 30 <= result.pairs.rows_mined < 60
    assert result.pairs.removed > 0
    assert result.fit is not None
    assert result.fit.warm_start
    assert result.fit.epochs == 3
    assert result.gate is not None
    assert result.gate.champion is not None
    assert result.gate.lower_bound is not None


@pytest.mark.full
def test_its_pairs_are_those_of_a_fresh_start(started: Bench, tmp_path: Path) -> None:
    users = [*names(40), *names(15, start=100)]
    started.store.commit(started.world.rows(names(40)), names(15, start=100))
    incremental = started.run(started.request("c2", CycleKind.INCREMENTAL, users, base=1))
    manifest = ModelManifest.model_validate_json((started.registry.fetch(2) / "manifest.json").read_text())

    # The same space made afresh: its folder is lost, so the follower rebuilds it with the champion's frozen scaling.
    elsewhere = started.settings.model_copy(update={"work_dir": tmp_path / "elsewhere"})
    rebuilt = started.run(started.request("c3", CycleKind.INCREMENTAL, ["u1"], base=2, settings=elsewhere))
    assert rebuilt.pairs is not None
    assert incremental.pairs is not None
    assert rebuilt.pairs.rows_mined == 385
    assert rebuilt.pairs.after == incremental.pairs.after
    again = ModelManifest.model_validate_json((started.registry.fetch(3) / "manifest.json").read_text())
    assert again.space == manifest.space


def test_a_cycle_that_has_registered_answers_with_its_version(started: Bench) -> None:
    request = started.request("c2", CycleKind.INCREMENTAL, names(20), base=1)
    first = started.run(request)
    started.progress.clear()
    again = started.run(request)
    assert (again.version, again.gate, again.pairs) == (first.version, first.gate, first.pairs)
    assert started.progress == []
    assert len(started.registry.versions()) == 2


def changed(bench: Bench) -> CycleRequest:
    """Twenty-five users change, fifteen come and five go; the cycle that is to learn it."""
    upserts = [*names(25), *names(15, start=400)]
    bench.store.commit(bench.world.rows(upserts), names(5, start=60))
    return bench.request("c2", CycleKind.INCREMENTAL, [*upserts, *names(5, start=60)], base=1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, template: Path) -> tuple[Bench, CycleResult]:
    """That cycle, run in one go."""
    bench = Bench(tmp_path_factory.mktemp("undisturbed"), template)
    return bench, bench.run(changed(bench))


def before(step: Step, progress: list[Progress]) -> Callable[[], bool]:
    """Says stop once the step before this one is done."""
    at = list(Step).index(step)
    reached = (lambda line: line.step is list(Step)[at - 1] and line.state == "done") if at else None
    return lambda: reached is None or any(map(reached, progress))


@pytest.mark.full
@pytest.mark.parametrize("step", list(Step))
def test_a_cycle_cut_short_before_any_step_ends_as_if_it_had_not_been(
    started: Bench, undisturbed: tuple[Bench, CycleResult], step: Step
) -> None:
    twin, expected = undisturbed
    request = changed(started)
    assert run_cycle(request, started.progress.append, before(step, started.progress)) is None
    assert step not in {line.step for line in started.progress}
    assert len(started.registry.versions()) == 1

    result = started.run(request)
    assert result.version == expected.version == 2
    assert result.gate == expected.gate
    assert result.pairs is not None
    assert expected.pairs is not None
    assert result.pairs.after == expected.pairs.after
    raw = np.stack([np.concatenate(list(row.values())) for row in World(9).rows(names(20)).values()])
    mine, twins = (
        load(bench.registry.fetch(2) / MODEL_FILE).whole.predict([raw, raw[::-1]], verbose=0)
        for bench in (started, twin)
    )
    np.testing.assert_array_equal(mine, twins)


@pytest.mark.full
def test_a_space_that_missed_a_settled_cycle_is_made_anew(started: Bench) -> None:
    """As when another machine ran the last cycles: users whom it learned are not pending, but they have changed."""
    started.store.commit(started.world.rows(names(30)))  # learned elsewhere, by c2
    request = changed(started).model_copy(update={"cycle_id": "c3", "last_promoted_cycle": "c2"})
    result = started.run(request)
    assert result.read is not None
    assert result.read.accepted == result.known_users
    info = started.registry.versions()[0].manifest.space
    space = Space.open(started.settings.work_dir / "spaces" / info.space_id, info, GROUP, last_promoted_cycle="c3")
    assert space is not None
    stored = read_all(started.store, GROUP, set(), lambda _done: None)
    at = space.matrix.rows_of(stored.keys)
    assert len(space.matrix) == len(at) == len(stored.keys)
    np.testing.assert_array_equal(space.matrix.raw[[at[key] for key in stored.keys]], stored.raw)
    space.close()


def test_a_cycle_asks_before_it_registers_and_gives_up_where_the_word_does_not_come(started: Bench) -> None:
    told: list[str] = []

    def no_word(_seconds: float) -> bool:
        told.append("asked")
        return False

    request = changed(started)
    result = run_cycle(request, started.progress.append, lambda: bool(told), no_word)
    assert result is None
    assert [line.state for line in started.progress if line.step is Step.REGISTER] == ["started", "asking"]
    assert len(started.registry.versions()) == 1


def test_a_cycle_of_a_stalled_instance_fails_and_registers_nothing(started: Bench) -> None:
    started.registry.enter(8)
    result = started.run(changed(started).model_copy(update={"fence": 7}))
    assert result.outcome is Outcome.FAILED
    assert "another instance runs cycles now" in result.reason
    assert result.fence == 7
    assert len(started.registry.versions()) == 1


def test_asked_only_whether_it_has_registered_a_cycle_trains_nothing(started: Bench) -> None:
    request = started.request("c2", CycleKind.FULL).model_copy(update={"lookup_only": True})
    absent = started.run(request)
    assert (absent.outcome, absent.not_registered, started.progress) == (Outcome.FAILED, True, [])
    there = started.run(request.model_copy(update={"cycle_id": "c1"}))
    assert (there.outcome, there.version, there.not_registered) == (Outcome.REGISTERED, 1, False)


def test_a_cycle_that_runs_shuts_out_whoever_ran_cycles_before(started: Bench) -> None:
    assert started.run(changed(started).model_copy(update={"fence": 9})).outcome is Outcome.REGISTERED
    with pytest.raises(StaleFence):
        started.registry.enter(8)


def held_out(bench: Bench, users: list[str]) -> int:
    return int((split(bench.settings.split, users) == Part.HOLDOUT).sum())


def users_in_slices(result: CycleResult) -> dict[Slice, int]:
    assert result.gate is not None
    return {name: report.users for name, report in result.gate.slices.items()}


def test_the_gate_tells_new_changed_and_unchanged_users_apart(undisturbed: tuple[Bench, CycleResult]) -> None:
    bench, result = undisturbed
    newcomers, changers = held_out(bench, names(15, start=400)), held_out(bench, names(25))
    stayed = held_out(bench, [*names(35, start=25), *names(335, start=65)])
    assert min(newcomers, changers) > 0
    assert users_in_slices(result) == {Slice.NEW: newcomers, Slice.CHANGED: changers, Slice.UNCHANGED: stayed}
    gate = result.gate
    assert gate is not None
    assert sum(report.pairs for report in gate.slices.values()) == gate.pairs
    for which in ("challenger", "champion"):
        right = sum(getattr(report, which).accuracy * report.pairs for report in gate.slices.values())
        assert right / gate.pairs == pytest.approx(getattr(gate, which).accuracy)


def test_the_figures_by_slice_are_in_the_manifest(undisturbed: tuple[Bench, CycleResult]) -> None:
    bench, result = undisturbed
    folder = bench.registry.fetch(2)
    manifest = ModelManifest.model_validate_json((folder / "manifest.json").read_text())
    assert result.gate is not None
    assert manifest.gate_report.slices == result.gate.slices
    assert f"| new | {manifest.gate_report.slices[Slice.NEW].users} |" in (folder / "report.md").read_text()


def test_at_the_beginning_everybody_is_new(template: Path) -> None:
    (first,) = LocalModelRegistry(template / "registry", trainer_settings(template).model_name).versions()
    slices = first.manifest.gate_report.slices
    assert slices[Slice.NEW].users == int((split(first.manifest.split, names(400)) == Part.HOLDOUT).sum())
    assert slices[Slice.NEW].challenger == first.manifest.metrics
    assert slices[Slice.CHANGED].users == slices[Slice.UNCHANGED].users == 0


def test_a_new_model_starts_with_towers_that_keep_the_cosine(started: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[float, float]] = []

    def watched(model: TwoTower, data: TrainingData, *args: Any, **settings: Any) -> FitReport:
        query, candidate = (np.asarray(tower(data.directions[data.train])) for tower in (model.query, model.candidate))
        wanted = data.directions[data.train] @ data.directions[data.train].T
        begun.append((float(np.abs(query @ candidate.T - wanted).max()), model.scale()[1] / model.scale()[0]))
        return fit(model, data, *args, **settings)

    monkeypatch.setattr("trainer.learning.cycle_fit.fit", watched)
    assert started.run(started.request("c2", CycleKind.FULL, [], base=1)).outcome is Outcome.REGISTERED
    ((error, middle),) = begun
    assert error < 1e-4
    assert middle == pytest.approx(-started.settings.pairs.similarity_threshold)


def test_bad_rows_are_refused_and_reported_and_the_rest_goes_on(started: Bench) -> None:
    row = dict(started.world.row())
    started.store.commit(
        {
            "u0": {**row, "taste": [1.0]},
            "u1": {**row, "habit": [np.nan] * 5},
            "u2": {**row, "year": None},
            "u3": row,
        }
    )
    result = started.run(started.request("c2", CycleKind.INCREMENTAL, names(4), base=1))
    assert result.outcome is Outcome.REGISTERED
    assert result.read is not None
    assert result.read.refused == {
        "u0": "taste has 1 numbers, not 8",
        "u1": "habit has a number that is not finite, or too large to be scaled",
        "u2": "year is missing",
    }
    assert result.known_users == 397
    everyone = json.loads((started.registry.fetch(2) / "refused.json").read_text())
    assert everyone == result.read.refused
    assert not result.read.whole
    beside = started.settings.work_dir / "cycles" / "c2"
    assert dict(refused_by(result, beside).of(USER)) == result.read.refused


@pytest.mark.full
def test_more_refused_rows_than_a_result_names_are_all_told_to_the_consumer_on_another_machine_too(
    started: Bench,
) -> None:
    """The cycle has registered, and the machine on which its file lay is gone."""
    row: dict[str, Any] = {**started.world.row(), "taste": [1.0]}
    started.store.commit({f"bad{number:03}": row for number in range(130)})
    accept = {"accept": (GuardName.REFUSED_SHARE,)}
    request = started.request("c2", CycleKind.FULL, [], base=1).model_copy(update=accept)
    for _ in range(2):
        result = started.run(request)
        assert result.outcome is Outcome.REGISTERED
        assert result.read is not None
        assert (len(result.read.refused), result.read.refused_total, result.read.whole) == (NAMED, 130, True)
        beside = started.settings.work_dir / "cycles" / "c2"
        assert len(dict(refused_by(result, beside).of(USER))) == 130
        shutil.rmtree(beside)


def spoiled(model: TwoTower, *args: Any, **settings: Any) -> FitReport:
    """A fit that goes wrong: one tower forgets everything at the end."""
    report = fit(model, *args, **settings).model_copy(update={"learned": True})
    model.query.set_weights([-weight[::-1] for weight in model.query.get_weights()])
    return report


def test_a_worse_challenger_is_rejected_and_nothing_is_registered(
    started: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.learning.cycle_fit.fit", spoiled)
    result = started.run(started.request("c2", CycleKind.INCREMENTAL, names(50), base=1))
    assert (result.outcome, result.version) == (Outcome.REJECTED, None)
    assert result.gate is not None
    assert result.gate.champion is not None
    assert "is worse beyond doubt" in result.reason
    assert len(started.registry.versions()) == 1


def learned_nothing(model: TwoTower, *args: Any, **settings: Any) -> FitReport:
    """A fit that keeps what it began with."""
    before = model.whole.get_weights()
    report = fit(model, *args, **settings)
    model.whole.set_weights(before)
    return report.model_copy(update={"learned": False, "best_epoch": 0})


def test_where_nothing_was_learned_the_champion_answers_and_no_version_is_registered(
    started: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.learning.cycle_fit.fit", learned_nothing)
    request = changed(started)
    policy = started.settings.gate.model_copy(update={"register_unchanged": False})
    request = request.model_copy(update={"settings": started.settings.model_copy(update={"gate": policy})})
    result = started.run(request)
    assert (result.outcome, result.version, result.base_version) == (Outcome.UNCHANGED, None, 1)
    assert result.gate is not None
    assert result.gate.champion is not None
    assert result.gate.challenger is None
    assert "version 1 answers for these users today" in result.reason
    assert result.gate.slices[Slice.NEW].champion is not None
    assert len(started.registry.versions()) == 1


@pytest.mark.full
def test_it_is_registered_all_the_same_where_the_policy_says_so(
    started: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.learning.cycle_fit.fit", learned_nothing)
    for version, cycle_id in ((2, "c2"), (3, "c3")):
        request = started.request(cycle_id, CycleKind.INCREMENTAL, names(5), base=version - 1)
        assert started.run(request).version == version
    assert [found.manifest.towers_as_in for found in started.registry.versions()] == [None, 1, 1]
    rivals = {one.against for one in started.registry.versions()[-1].manifest.gate_report.comparisons}
    assert rivals == {"champion", "version 1"}  # the baseline is compared with, too


@pytest.mark.full
def test_a_baseline_that_is_gone_is_left_out_and_the_report_says_so(started: Bench) -> None:
    """A clean-up of old versions: every cycle once failed after its whole fit, and a full retrain too."""
    assert started.run(changed(started)).version == 2
    shutil.rmtree(started.registry_folder / started.settings.model_name / "1")
    for kind in (CycleKind.INCREMENTAL, CycleKind.FULL, CycleKind.BACKFILL):
        request = started.request(f"c-{kind.value}", kind, names(9), base=2).model_copy(update={"best_since": (7,)})
        result = started.run(request)
        assert result.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED}, result
        assert result.gate is not None
        assert [note.split(",")[0] for note in result.gate.notes if "baseline" in note] == [
            "judged without version 1 of the baseline",
            "judged without version 7 of the baseline",
        ]
        if result.outcome is Outcome.REGISTERED:
            shutil.rmtree(started.registry_folder / started.settings.model_name / str(result.version))


@pytest.mark.full
def test_a_space_that_has_drifted_is_on_record_also_where_the_cycle_is_asked_again(
    started: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.gate.judgement.no_room", lambda *_: False)
    monkeypatch.setattr("trainer.gate.judgement.drifted", lambda *_args, **_named: "a fresh start is better")
    request = changed(started)
    for result in (started.run(request), started.run(request)):
        assert (result.version, result.asks_full) == (2, "a fresh start is better")
    assert started.registry.versions()[-1].manifest.gate_report.fresh is not None


@pytest.mark.full
def test_newcomers_of_a_rejected_cycle_are_new_in_the_next_one(started: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    request = changed(started)
    with monkeypatch.context() as patch:
        patch.setattr("trainer.learning.cycle_fit.fit", spoiled)
        rejected = started.run(request)
    assert rejected.outcome is Outcome.REJECTED
    again = started.run(request.model_copy(update={"cycle_id": "c3"}))
    assert again.outcome is Outcome.REGISTERED
    assert users_in_slices(again) == users_in_slices(rejected)
    assert users_in_slices(again)[Slice.NEW] > 0


def test_too_few_users_are_inconclusive(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.store.commit({}, names(390, start=10))
    result = bench.run(bench.request("c1", CycleKind.BOOTSTRAP))
    assert (result.outcome, result.version) == (Outcome.INCONCLUSIVE, None)


def test_an_empty_or_missing_store_fails_the_cycle_in_words(started: Bench, tmp_path: Path) -> None:
    """Nobody counts as deleted, and nothing is made in passing; a failed cycle gives its users back."""
    request = started.request("c2", CycleKind.INCREMENTAL, users=["u1", "u2"], base=1)
    started.store.commit({}, names(400))
    for kind in (CycleKind.INCREMENTAL, CycleKind.FULL):
        result = started.run(request.model_copy(update={"kind": kind}))
        assert result.outcome is Outcome.FAILED
        assert "listeners, version 1, holds no users" in result.reason
    started.store.close()
    (tmp_path / "store.db").unlink()
    result = started.run(request)
    assert result.outcome is Outcome.FAILED
    assert f"no feature store at {tmp_path / 'store.db'}" in result.reason
    assert not list(tmp_path.glob("store.db*"))


def test_a_full_retrain_starts_a_new_space_and_is_measured_against_the_champion(started: Bench) -> None:
    request = changed(started).model_copy(update={"kind": CycleKind.FULL, "users": ()})
    result = started.run(request)
    assert result.outcome is Outcome.REGISTERED
    assert result.fit is not None
    assert not result.fit.warm_start
    assert result.gate is not None
    assert result.gate.champion is not None
    assert users_in_slices(result)[Slice.NEW] == held_out(started, names(15, start=400))
    assert users_in_slices(result)[Slice.CHANGED] == held_out(started, names(25))
    assert [found.manifest.space.space_id for found in started.registry.versions()] == ["c1", "c2"]


@pytest.mark.full
def test_a_ledger_that_was_lost_does_not_get_past_the_gate(started: Bench) -> None:
    """A bootstrap where versions are registered already is compared with the newest of them (P4)."""
    result = started.run(started.request("c9", CycleKind.BOOTSTRAP))
    assert result.base_version == 1
    assert result.gate is not None
    assert result.gate.champion is not None


@pytest.mark.full
def test_with_another_split_nobody_follows_a_version_that_saw_the_held_out(started: Bench) -> None:
    """Its weights know users who are held out now (P5); only a training from scratch may go on, and alone."""
    settings = started.settings.model_copy(
        update={"split": started.settings.split.model_copy(update={"salt": "another"})}
    )
    follower = started.run(started.request("c2", CycleKind.INCREMENTAL, names(9), base=1, settings=settings))
    assert follower.outcome is Outcome.HELD
    assert "trained with another split" in follower.reason
    assert follower.way_out is not None
    assert "train --full" in follower.way_out
    full = started.run(started.request("c3", CycleKind.FULL, base=1, settings=settings))
    assert full.outcome is Outcome.REGISTERED
    assert "version 1 was trained with another split" in full.reason
    assert full.gate is not None
    assert full.gate.champion is None


def test_scaling_is_learned_from_users_who_may_be_trained_on(bench: Bench) -> None:
    everyone = {row: np.concatenate(list(values.values())) for row, values in World().rows(names(400)).items()}
    parts = split(bench.settings.split, list(everyone))
    years = np.array([row[-1] for row in everyone.values()])
    bench.run(bench.request("c1", CycleKind.BOOTSTRAP))
    scale = bench.registry.versions()[0].manifest.space.scalars["year"]
    assert scale.mean == pytest.approx(years[parts != Part.HOLDOUT].mean(), rel=1e-6)
    assert scale.mean != pytest.approx(years.mean(), rel=1e-6)


def test_a_full_retrain_goes_on_where_the_champion_is_damaged(started: Bench) -> None:
    (started.registry_folder / started.settings.model_name / "1" / MODEL_FILE).write_text("rotten")
    follower = started.run(started.request("c2", CycleKind.INCREMENTAL, names(9), base=1))
    assert follower.outcome is Outcome.HELD
    assert {line.step for line in started.progress} == set()  # found out before anything is read
    full = started.run(started.request("c3", CycleKind.FULL, base=1))
    assert full.outcome is Outcome.REGISTERED
    assert "version 1 is not to be had" in full.reason


def test_what_cannot_be_done_is_said(started: Bench) -> None:
    absent = started.run(started.request("c2", CycleKind.INCREMENTAL, names(1), base=8))
    assert absent.outcome is Outcome.HELD
    assert "no version 8; it has 1" in absent.reason
    assert absent.way_out is not None
    assert absent.way_out.startswith("restore it")
    fewer = GROUP.model_copy(update={"columns": GROUP.columns[:2]})
    narrower = started.settings.model_copy(update={"feature_group": fewer})
    other = started.run(started.request("c3", CycleKind.INCREMENTAL, names(1), base=1, settings=narrower))
    assert other.outcome is Outcome.HELD
    assert other.way_out is not None
    assert "retrainer train --full" in other.way_out


def test_everything_that_a_version_needs_is_in_its_folder(started: Bench) -> None:
    folder = started.registry.fetch(1)
    files = {path.name for path in folder.iterdir()}
    assert files == {
        "two_tower_model.keras",
        "query_tower.keras",
        "candidate_tower.keras",
        "manifest.json",
        "metrics.json",
        "lineage.json",
        "claimed.json.gz",
        "report.md",
    }
    assert json.loads((folder / "lineage.json").read_text())["offsets"] == {"t": {"0": [0, 7]}}
    assert "the test says so" in (folder / "report.md").read_text()


BARE = """
import sys, numpy as np, tensorflow as tf
assert not [name for name in sys.modules if name.split('.')[0] in ('trainer', 'schemas', 'consumer')]
folder, width = sys.argv[1], int(sys.argv[2])
model = tf.keras.models.load_model(folder + '/two_tower_model.keras', safe_mode=True)
query, candidate = (tf.keras.models.load_model(f'{folder}/{name}_tower.keras', safe_mode=True)
                    for name in ('query', 'candidate'))
raw = np.random.default_rng(0).normal(size=(6, width)).astype('float32')
scores = model.predict({'query': raw, 'candidate': raw[::-1]}, verbose=0)
assert scores.shape == (6, 1) and (scores >= 0).all() and (scores <= 1).all(), scores
left, right = query.predict(raw, verbose=0), candidate.predict(raw[::-1], verbose=0)
scale, bias = (float(value.ravel()[0]) for value in model.get_layer('scale_and_bias').get_weights())
again = 1 / (1 + np.exp(-(scale * (left * right).sum(axis=1) + bias)))
np.testing.assert_allclose(again, scores[:, 0], atol=1e-5)
print('scored')
"""


@pytest.mark.full
def test_the_model_loads_in_a_bare_python_and_scores_raw_rows(started: Bench, tmp_path: Path) -> None:
    """Only TensorFlow on the path: nothing of ours can be imported, so nothing of ours is needed (P7)."""
    folder = started.registry.fetch(1)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    ran = subprocess.run(
        [sys.executable, "-I", "-c", BLOCK_OURS + BARE, str(folder), str(GROUP.width)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.strip() == "scored", ran.stderr[-2000:]


# The checkout is installed in this environment; a finder that refuses its packages makes the interpreter bare.
BLOCK_OURS = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('trainer', 'schemas', 'consumer', 'hopsworks', 'kafka', 'pydantic'):
            raise ImportError(name + ' is not here')
sys.meta_path.insert(0, Refuse())
"""
