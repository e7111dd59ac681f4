"""Learning what users did: scores on held-out friendships, beside models of features alone, and in a stream."""

from __future__ import annotations

import time

import keras
import numpy as np

from benchmarks.notebook import PairVectors, train
from benchmarks.outcomes_data import Figures, Friends, friends, judged
from benchmarks.outcomes_peers import retrieval_seconds, svd_products
from benchmarks.rows import Row, Setup, figure
from schemas.cycle import FitReport
from stores.feature_store import Floats
from trainer.labels.outcomes import Outcomes
from trainer.learning.fit import TrainingData, fit
from trainer.matrix.embeddings import Rows
from trainer.model import TwoTower
from trainer.pairs import label_pairs

_WAVES = 20
_TIMED = (1, 7, 14, 20)  # waves after which a full training is timed; what others take lies on a line between them
_TARGETS = {"twitch": (0.70, 0.115), "lastfm": (0.79, 0.39)}


def twitch(setup: Setup) -> list[Row]:
    """Streamers."""
    return _quality(setup, "twitch")


def lastfm(setup: Setup) -> list[Row]:
    """Listeners."""
    return _quality(setup, "lastfm")


def _quality(setup: Setup, name: str) -> list[Row]:
    world = friends(setup, name)
    cosine = judged(world, lambda asked, all_of_them: world.rows[asked] @ world.rows[all_of_them].T)
    linear = judged(world, svd_products(world))
    pairs, labels = label_pairs(world.rows, world.learnable)
    keras.utils.set_random_seed(0)
    mixed = np.random.default_rng(0).permutation(len(labels))  # or the last fifth would be other users
    vectors = PairVectors(pairs[mixed, 0], pairs[mixed, 1], labels[mixed].astype(np.float32))
    notebook = train(vectors, epochs=setup.size(10, 1))
    towers = _judged(world, notebook.model)
    report, model, seconds = _from_scratch(world, world.outcomes())
    ours = _judged(world, model)
    least_auc, least_recall = _TARGETS[name]
    note = (
        f"{world.users.name}, {len(world.edges):,} friendships; epoch {report.best_epoch} of {report.epochs} kept, "
        f"{seconds:.1f} s; AUC / recall@50: input cosine {_told(cosine)}, logistic regression of SVD products "
        f"{_told(linear)}, the notebook's towers {_told(towers)} in {notebook.seconds:.0f} s, ours {_told(ours)}"
    )
    peer = "the input cosine"
    return [
        figure(f"outcomes.auc.{name}", ours.auc, "AUC", least=least_auc, peer=peer, theirs=cosine.auc, note=note),
        figure(
            f"outcomes.recall50.{name}",
            ours.recall,
            "recall@50",
            least=least_recall,
            peer=peer,
            theirs=cosine.recall,
            note=note,
        ),
    ]


def stream(setup: Setup) -> list[Row]:
    """Friendships that come in twenty waves, learned by incremental cycles alone, against all of them from scratch."""
    world = friends(setup, "twitch")
    wave = np.random.default_rng(0).integers(_WAVES, size=len(world.edges))
    keras.utils.set_random_seed(0)
    model, spent, learned = world.users.model(), 0.0, 0
    for now in range(_WAVES):
        report, seconds = _fit(world, model, world.outcomes(wave <= now, wave == now), seed=now, follows=True)
        spent += seconds
        learned += report.learned
    ours = _judged(world, model)
    taken = []
    for count in _TIMED:
        _, whole, seconds = _from_scratch(world, world.outcomes(wave < count))
        taken.append(seconds)
    theirs = _judged(world, whole)
    full = float(np.interp(np.arange(1, _WAVES + 1), _TIMED, taken).sum())
    near = theirs.auc - ours.auc <= 0.01 and ours.recall >= 0.95 * theirs.recall
    note = (
        f"{world.users.name}; {learned} of {_WAVES} waves changed the model; AUC / recall@50 {_told(ours)} against "
        f"{_told(theirs)}; {spent:.1f} s in all, {_WAVES} full trainings {full:.1f} s"
    )
    return [
        figure(
            "outcomes.stream",
            spent / full,
            "of the time",
            most=0.2,
            also=("AUC within 0.01, recall@50 within 5 %", near),
            peer="full trainings",
            theirs=1.0,
            note=note,
        )
    ]


def fit_seconds(setup: Setup) -> list[Row]:
    """A whole training, beside the same towers trained as TensorFlow Recommenders does, in plain Keras."""
    world = friends(setup, "twitch")
    report, model, seconds = _from_scratch(world, world.outcomes())
    ours = _judged(world, model)
    keras.utils.set_random_seed(0)
    peer = world.users.model()
    theirs = retrieval_seconds(world, peer, report.epochs)
    note = (
        f"{world.users.name}, {report.epochs} epochs; ours scores dev labels after each, tracing in both; AUC / "
        f"recall@50 {_told(ours)} against {_told(_judged(world, peer))}"
    )
    return [
        figure("outcomes.fit_seconds", seconds, "s", most=theirs, peer="in-batch softmax", theirs=theirs, note=note)
    ]


def _from_scratch(world: Friends, outcomes: Outcomes) -> tuple[FitReport, TwoTower, float]:
    keras.utils.set_random_seed(0)
    model = world.users.model()
    report, seconds = _fit(world, model, outcomes)
    return report, model, seconds


def _fit(
    world: Friends, model: TwoTower, outcomes: Outcomes, *, seed: int = 0, follows: bool = False
) -> tuple[FitReport, float]:
    """A fit as a cycle does it, and its seconds."""
    users, policy = world.users, world.users.settings.fit
    nobody: Rows | None = np.empty(0, dtype=np.int64) if follows else None
    start = time.perf_counter()
    data = TrainingData.of(users.space, users.population, nobody, users.settings, seed, outcomes)
    report = fit(
        model,
        data,
        policy,
        epochs=policy.incremental_epochs if follows else policy.full_epochs,
        learning_rate=policy.learning_rate,
        seed=seed,
        warm_start=follows,
        on_epoch=lambda _epoch: None,
    )
    return report, time.perf_counter() - start


def _judged(world: Friends, model: TwoTower) -> Figures:
    def alike(asked: Rows, others: Rows) -> Floats:
        query, candidate = model.query(world.rows[asked], training=False), model.candidate(world.rows[others])
        table: Floats = np.asarray(query) @ np.asarray(candidate).T
        return table

    return judged(world, alike)


def _told(figures: Figures) -> str:
    return f"{figures.auc:.3f} / {figures.recall:.3f}"
