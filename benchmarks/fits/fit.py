"""Learning: how many labelled pairs a second, how good a model, and how soon, against the seed's notebook."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import keras

from benchmarks.listeners import Listeners, lastfm, listeners, placed
from benchmarks.notebook import pair_vectors, train
from benchmarks.rows import Row, Setup, comparison, faster, figure
from schemas.cycle import FitReport, Metrics
from schemas.policies import FitPolicy
from trainer.exam.evaluate import score
from trainer.exam.exam import Exam
from trainer.learning.fit import Epoch, TrainingData, fit
from trainer.model import TwoTower

_NOTEBOOK = "the notebook's fit"
_LONG = {"full_epochs": 210, "batch_users": 256, "patience": 210}


def pairs_per_second(setup: Setup) -> list[Row]:
    """Labelled pairs a second of a whole fit, tracing and scoring the dev users included."""
    users = listeners(setup)
    keras.utils.set_random_seed(0)
    notebook = train(pair_vectors(users.learnable, _threshold(users)), epochs=2)
    report, _, seconds = _ours(users)
    # The batches count (i, j) and (j, i), which two towers make two examples; here each pair of users counts once.
    rate = report.labelled_pairs / 2 / seconds
    theirs = notebook.pairs_per_second
    note = f"{users.name}; {report.labelled_pairs // 2:,} pairs labelled in {report.epochs} epochs, {seconds:.1f} s"
    return [
        comparison(
            "fit.pairs_per_second", rate, _NOTEBOOK, theirs, "pairs/s", ratio=rate / theirs, least=100, note=note
        )
    ]


def quality(setup: Setup) -> list[Row]:
    """One full training by the default policy, against the notebook's: how soon as good, and how good at the end."""
    users = listeners(setup)
    exam = users.exam()
    keras.utils.set_random_seed(0)
    notebook = train(pair_vectors(users.learnable, _threshold(users)), epochs=setup.size(10, 1))
    seed = score(notebook.model, exam).metrics
    reached = _time_to(users, exam, seed)
    keras.utils.set_random_seed(0)
    report, model, seconds = _ours(users)
    ours = score(model, exam).metrics
    note = (
        f"{users.name}; accuracy {ours.accuracy:.4f} against {seed.accuracy:.4f}, epoch {report.best_epoch} of "
        f"{report.epochs} kept, {seconds:.1f} s against {notebook.seconds:.1f} s"
    )
    held = "; the towers hold all of its 100 numbers, so they know its labels from the start" if setup.lastfm else ""
    return [
        faster(
            "fit.time_to_seed_quality",
            reached,
            _NOTEBOOK,
            notebook.seconds,
            least=10,
            note=f"{users.name}; accuracy {seed.accuracy:.4f} and recall@10 {seed.recall_at_10:.4f}",
        ),
        _quality_row("fit.quality_third", ours, seed, 0.60, 0.965, seconds, notebook.seconds / 3, note + held),
        _quality_row("fit.quality", ours, seed, 0.78, 0.98, seconds, notebook.seconds, note + held),
        _from_noise(users, exam, seed, notebook.seconds),
        *_harder(setup),
    ]


def _from_noise(users: Listeners, exam: Exam, seed: Metrics, most: float) -> Row:
    """A row of its own: what loss and batches alone learn, from random weights as the notebook does."""
    keras.utils.set_random_seed(0)
    report, model, seconds = _ours(users, from_noise=True, **_LONG)
    ours = score(model, exam).metrics
    note = (
        f"{users.name}; from random weights, {report.epochs} epochs of batches of {_LONG['batch_users']}; accuracy "
        f"{ours.accuracy:.4f}, epoch {report.best_epoch} kept, {seconds:.1f} s against {most:.1f} s"
    )
    return _quality_row("fit.quality.from_noise", ours, seed, 0.78, 0.98, seconds, most, note)


def _harder(setup: Setup) -> list[Row]:
    """A row of its own: the same users in 300 numbers, of which the towers' 128 cannot hold all."""
    if setup.lastfm is None:
        return []
    (folder := setup.folder / "harder").mkdir()
    users = placed(folder, "Last.fm users", lastfm(setup.lastfm, 300), 0.5)
    exam = users.exam()
    start = score(users.model(), exam).metrics
    keras.utils.set_random_seed(0)
    report, model, seconds = _ours(users)
    ours = score(model, exam).metrics
    note = (
        f"Last.fm users in 300 numbers; accuracy {start.accuracy:.4f} before and {ours.accuracy:.4f} after, "
        f"epoch {report.best_epoch} of {report.epochs} kept, {seconds:.1f} s"
    )
    return [
        figure(
            "fit.quality.lastfm_300",
            ours.recall_at_10,
            "recall@10",
            least=start.recall_at_10,
            peer="before the first epoch",
            theirs=start.recall_at_10,
            note=note,
        )
    ]


def _threshold(users: Listeners) -> float:
    return users.settings.pairs.similarity_threshold


def _ours(users: Listeners, *, from_noise: bool = False, **changed: int) -> tuple[FitReport, TwoTower, float]:
    """A full training as a cycle does it, tracing and initialisation in its wall time; `changed` are other policies."""
    policy = users.settings.fit.model_copy(update=changed)
    data = users.data()
    start = time.perf_counter()
    model = users.model(from_noise=from_noise)
    report = _fit(model, data, policy, lambda _epoch: None)
    return report, model, time.perf_counter() - start


def _fit(model: TwoTower, data: TrainingData, policy: FitPolicy, on_epoch: Callable[[Epoch], None]) -> FitReport:
    return fit(
        model,
        data,
        policy,
        epochs=policy.full_epochs,
        learning_rate=policy.learning_rate,
        seed=0,
        warm_start=False,
        on_epoch=on_epoch,
    )


def full_fit(users: Listeners) -> None:
    """A full training as a cycle does it."""
    _ours(users)


class _ReachedError(Exception):
    """The model is as good as was wanted."""


def _time_to(users: Listeners, exam: Exam, wanted: Metrics) -> float:
    """Seconds of a full training until, after an epoch, the held-out figures are as good as `wanted`; inf if never.

    The clock stands still while the held-out users are scored.
    """
    policy, idle, data = users.settings.fit, 0.0, users.data()

    def look(_epoch: Epoch) -> None:
        nonlocal idle
        began = time.perf_counter()
        found = score(model, exam).metrics
        idle += time.perf_counter() - began
        if found.accuracy >= wanted.accuracy and found.recall_at_10 >= wanted.recall_at_10:
            raise _ReachedError

    start = time.perf_counter()
    model = users.model()
    try:
        _fit(model, data, policy, look)
    except _ReachedError:
        return time.perf_counter() - start - idle
    return math.inf


def _quality_row(
    name: str, ours: Metrics, seed: Metrics, recall: float, accuracy: float, seconds: float, most: float, note: str
) -> Row:
    words = f"accuracy >= {accuracy:g}"
    good = ours.accuracy >= accuracy and seconds <= most
    return figure(
        name,
        ours.recall_at_10,
        "recall@10",
        least=recall,
        also=(words, good),
        peer="the notebook",
        theirs=seed.recall_at_10,
        note=note,
    )
