"""When to learn what users did: by how many labels it takes, and by what it costs of the input cosine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import keras
import numpy as np
from numpy.typing import NDArray

from benchmarks.outcomes_data import Figures, Friends, friends, judged
from benchmarks.plots.style import BLUE, GREY, ORANGE, figure, save
from benchmarks.rows import Setup
from schemas.policies import Objective
from stores.feature_store import Floats
from trainer.learning.fit import TrainingData, fit
from trainer.matrix.embeddings import Rows
from trainer.matrix.split import Part
from trainer.model import TwoTower

Known = NDArray[np.bool_]

_SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
_SETS = {"twitch": ("Twitch", BLUE), "lastfm": ("Last.fm", ORANGE)}
_LASTFM = Path(__file__).parents[3] / "shared" / "data" / "lastfm" / "user_artists.dat"


def draw() -> None:
    """AUC and recall@50 by the number of labels learned, and how much of the nearest by cosine each objective keeps."""
    drawn, (auc, recall, kept) = figure(3, width=10.5, height=3.6)
    with TemporaryDirectory() as folder:
        setup = Setup(quick=False, folder=Path(folder), lastfm=_LASTFM if _LASTFM.exists() else None)
        for at, (name, (title, colour)) in enumerate(_SETS.items()):
            world = friends(setup, name)
            cosine = judged(world, lambda asked, others: world.rows[asked] @ world.rows[others].T)  # noqa: B023
            counts, told = [], []
            for share in _SHARES:
                known = np.random.default_rng(0).random(len(world.edges)) < share
                model = _learned(world, Objective.OUTCOMES, known)
                counts.append(int(_learnable(world, known).sum()))
                told.append(_judged(world, model))
            for panel, figures, plain in (
                (auc, [one.auc for one in told], cosine.auc),
                (recall, [one.recall for one in told], cosine.recall),
            ):
                panel.plot(counts, figures, "o-", color=colour, label=f"{title}, learned")
                panel.axhline(plain, color=colour, lw=1, ls="--", label=f"{title}, input cosine")
            both = _learned(world, Objective.BOTH, np.ones(len(world.edges), dtype=bool))
            bars = [_nearest_kept(world, one) for one in (None, both, model)]
            kept.bar(np.arange(3) + 0.4 * at, bars, width=0.36, color=colour, label=title)
    for panel, title in ((auc, "AUC against\nequally popular strangers"), (recall, "recall@50 of held-out friends")):
        panel.set(xscale="log", xlabel="labels learned")
        panel.set_title(title)
    recall.legend(fontsize=7, loc="center left")
    kept.set(xticks=np.arange(3) + 0.2, xticklabels=["similarity", "both", "outcomes"], ylim=(0, 1.05))
    kept.set_title("recall@10 of the nearest\nby the input cosine")
    kept.legend(fontsize=7)
    for panel in (auc, recall, kept):
        panel.grid(axis="y", color=GREY, lw=0.4)
    save(drawn, "outcomes")


def _learnable(world: Friends, known: Known) -> Known:
    found: Known = known & (world.part[world.edges] == Part.TRAIN).all(axis=1)
    return found


def _learned(world: Friends, objective: Objective, known: Known) -> TwoTower:
    users = world.users
    policy = users.settings.fit.model_copy(update={"objective": objective})
    users = replace(users, settings=users.settings.model_copy(update={"fit": policy}))
    keras.utils.set_random_seed(0)
    model = users.model()
    data = TrainingData.of(users.space, users.population, None, users.settings, 0, world.outcomes(known))
    fit(
        model,
        data,
        policy,
        epochs=policy.full_epochs,
        learning_rate=policy.learning_rate,
        seed=0,
        warm_start=False,
        on_epoch=lambda _epoch: None,
    )
    return model


def _judged(world: Friends, model: TwoTower) -> Figures:
    query, candidate = _embedded(model, world.rows)
    return judged(world, lambda asked, others: query[asked] @ candidate[others].T)


def _embedded(model: TwoTower, rows: Floats) -> tuple[Floats, Floats]:
    """By the query tower and by the candidate tower: who asks, and who is found."""
    return np.asarray(model.query(rows, training=False)), np.asarray(model.candidate(rows, training=False))


def _nearest_kept(world: Friends, model: TwoTower | None) -> float:
    """Of the ten nearest by the input cosine of some held-out users, the share among the ten nearest of the model."""
    held = np.flatnonzero(world.part == Part.HOLDOUT)[:300]
    both = (world.rows, world.rows) if model is None else _embedded(model, world.rows)

    def nearest(query: Floats, candidate: Floats) -> Rows:
        table = query[held] @ candidate.T
        table[np.arange(len(held)), held] = -np.inf
        found: Rows = np.argpartition(-table, 10, axis=1)[:, :10]
        return found

    pairs = zip(nearest(world.rows, world.rows), nearest(*both), strict=True)
    return float(np.mean([len(set(truly) & set(found)) / 10 for truly, found in pairs]))
