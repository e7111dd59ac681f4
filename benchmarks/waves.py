"""Ten waves of drift learned by incremental cycles only: has the model kept up with one trained from scratch?"""

from __future__ import annotations

from pathlib import Path

import keras

from benchmarks.rows import Row, Setup, figure
from benchmarks.worlds import WORLDS, DriftingWorld
from schemas.cycle import (
    CycleKind,
    CycleRequest,
    CycleResult,
    Lineage,
    LocalRegistry,
    LocalStore,
    Outcome,
    TrainerSettings,
)
from schemas.manifest import MODEL_FILE, ModelManifest
from trainer.evaluate import score
from trainer.exam import Exam, prepare_exam
from trainer.features.local import LocalFeatureStore
from trainer.model import load
from trainer.population import populate
from trainer.registry.local import LocalModelRegistry
from trainer.run import run_cycle
from trainer.space import Space

NAME = "cycle.keeps_up"
_WORLDS = {
    "rotation": "100 independent numbers at a time, which turn through 300",
    "directions_100": "newcomers bring 100 more independent numbers to 100, the towers hold 128",
}
"""The first gives the row that counts; the others rows of their own."""
_SHARE = 0.05


class _Site:
    """A registry and a work directory beside a feature store, and the cycles that are run there."""

    def __init__(self, folder: Path, store: Path, world: DriftingWorld) -> None:
        self.settings = TrainerSettings(
            feature_group=world.group,
            feature_store=LocalStore(path=store),
            model_registry=LocalRegistry(path=folder / "registry"),
            work_dir=folder / "work",
        )
        self.registry = LocalModelRegistry(folder / "registry", self.settings.model_name)

    def run(self, cycle_id: str, users: list[str], base: int | None) -> CycleResult:
        """A cycle to its end: incremental, or the first one where there is no base."""
        keras.backend.clear_session()
        request = CycleRequest(
            cycle_id=cycle_id,
            kind=CycleKind.INCREMENTAL if base else CycleKind.BOOTSTRAP,
            reason="make bench",
            base_version=base,
            anchor_version=1 if base else None,
            users=tuple(users),
            lineage=Lineage(offsets={}, changed_users=len(users)),
            settings=self.settings,
        )
        result = run_cycle(request, lambda _line: None, lambda: False)
        assert result is not None
        return result

    def exam(self, version: int) -> Exam:
        """The held-out users in the embedding space of `version`, as its own gate asks about them."""
        manifest = ModelManifest.model_validate_json((self.registry.fetch(version) / "manifest.json").read_text())
        settings = self.settings
        space = Space.open(
            settings.work_dir / "spaces" / manifest.space.space_id, manifest.space, settings.feature_group
        )
        assert space is not None
        population = populate(space.matrix, settings.split)
        return prepare_exam(
            space.matrix.raw,
            space.matrix.directions,
            population.holdout,
            population.everyone,
            settings.pairs,
            seed=0,
        )


def keeps_up(setup: Setup) -> list[Row]:
    """In each world: both models on one exam of the final rows in the newest space."""
    first, *_ = _WORLDS
    return [_in_world(setup, name, NAME if name == first else f"{NAME}.{name}") for name in _WORLDS]


def _in_world(setup: Setup, name: str, row: str) -> Row:
    """Users of a cycle that comes to nothing are learned by the next one, as the service does it."""
    (folder := setup.folder / name).mkdir()
    users, waves = setup.size(3_000, 400), setup.size(10, 2)
    world = WORLDS[name](users, waves, _SHARE, 0)
    store = LocalFeatureStore(folder / "store.db", world.group)
    store.commit(world.initial)
    follower, fresh = (_Site(folder / site, folder / "store.db", world) for site in ("follower", "fresh"))
    version = _registered(follower.run("first", [], None))
    registered = learned = 0
    pending: dict[str, None] = {}
    for number, wave in enumerate(world.waves):
        store.commit(wave.rows)
        pending |= dict.fromkeys(wave.announced)
        result = follower.run(f"wave-{number}", list(pending), version)
        learned += bool(result.fit and result.fit.learned)
        if result.outcome in {Outcome.REGISTERED, Outcome.UNCHANGED}:
            pending = {}
        if result.version is not None:
            version, registered = result.version, registered + 1
    anew = _registered(fresh.run("fresh", [], None))
    store.close()
    exam = fresh.exam(anew)
    one, other = (
        score(load(site.registry.fetch(at) / MODEL_FILE), exam).metrics
        for site, at in ((follower, version), (fresh, anew))
    )
    accuracy, recall = one.accuracy - other.accuracy, one.recall_at_10 - other.recall_at_10
    note = (
        f"{users:,} users, {waves} waves of {name}: {_WORLDS[name]}; "
        f"{learned} cycles learned, {registered} registered; "
        f"difference of accuracy {accuracy:+.4f}, of recall@10 {recall:+.4f}"
    )
    return figure(
        row,
        one.accuracy,
        "accuracy",
        least=other.accuracy - 0.005,
        peer="trained from scratch on the final rows",
        theirs=other.accuracy,
        also=("recall@10 >= -0.02", recall >= -0.02),
        note=note,
    )


def _registered(result: CycleResult) -> int:
    if result.version is None:
        raise RuntimeError(f"cycle {result.cycle_id} was {result.outcome}: {result.reason}")
    return result.version
