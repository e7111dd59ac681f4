"""Batches and loss: what one batch teaches, and what each term of the loss asks for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.plots.bounds import listeners
from benchmarks.plots.style import BLUE, GREEN, GREY, INK, ORANGE, RED, figure, save
from schemas.policies import FitPolicy, PairPolicy
from stores.feature_store import Floats
from trainer.learning.batches import Neighbours, batches
from trainer.learning.loss import pair_weights
from trainer.pairs.bounds import Bounds
from trainer.pairs.graph import Graph, update_graph
from trainer.pairs.view import View

_USERS, _BATCH = 3000, 96
_POLICY = PairPolicy()


def draw_batches() -> None:
    """The labels of a batch of random users, and of one drawn around anchors."""
    directions = listeners(_USERS)
    everyone = np.arange(_USERS)
    view = View(directions, Bounds.plain(directions), everyone)
    graph = update_graph(Graph.empty(_POLICY), view, everyone, _POLICY).graph
    neighbours = Neighbours(graph, directions, everyone, everyone, everyone, _POLICY.similarity_threshold)
    around = next(batches(everyone, everyone, neighbours, _BATCH, np.random.default_rng(3)))
    random = np.random.default_rng(0).choice(everyone, _BATCH, replace=False)

    drawn, panels = figure(2, height=4.3)
    anchors = _BATCH // 3
    for panel, rows, title in ((panels[0], random, "random users"), (panels[1], around, "around anchors")):
        similar = _similar(directions[rows])
        both = np.argwhere(similar)
        panel.scatter(both[:, 1], both[:, 0], s=5, marker="s", color=BLUE, linewidths=0)
        panel.set(xlim=(-1, _BATCH), ylim=(_BATCH, -1), aspect="equal", xticks=[], yticks=[])
        panel.spines[["top", "right"]].set_visible(True)
        count = int(similar.sum()) // 2
        panel.set_title(f"{title}: {count} similar pairs\nof {_BATCH * (_BATCH - 1) // 2:,}, all of them labelled")
    for edge in (anchors, len(np.unique(around)) if len(around) < _BATCH else None):
        if edge is not None:
            panels[1].axhline(edge - 0.5, color=ORANGE, lw=1)
            panels[1].axvline(edge - 0.5, color=ORANGE, lw=1)
    panels[1].text(anchors / 2, _BATCH + 1, "anchors", color=INK, ha="center", va="top", fontsize=8)
    panels[1].text(
        (anchors + _BATCH) / 2,
        _BATCH + 1,
        "similar users of theirs, and others",
        color=INK,
        ha="center",
        va="top",
        fontsize=8,
    )
    save(drawn, "batches")


def draw_loss() -> None:
    """The pull of the pair loss along the cosine, and how a batch's weight is shared out."""
    policy = FitPolicy()
    drawn, (left, right) = figure(2, height=3.8)
    cosine = np.linspace(-0.2, 1, 600)
    for scale, alpha in ((10, 0.35), (30, 0.6), (100, 1.0)):
        for sign, colour in ((-1, GREEN), (1, RED)):
            logit = scale * (cosine - _POLICY.similarity_threshold)
            name = {(-1, 100): "similar pair", (1, 100): "dissimilar pair"}.get((sign, scale))
            left.plot(cosine, np.logaddexp(0, sign * logit) / scale, color=colour, alpha=alpha, label=name)
    left.axvline(_POLICY.similarity_threshold, color=INK, lw=0.8, ls="--")
    left.annotate("scale 10", (0.62, 0.21), color=INK, fontsize=8, alpha=0.6)
    left.set(xlabel="cosine of the embeddings", ylabel="pair loss of one pair", ylim=(0, 0.45), xlim=(0.3, 1))
    left.set_title("a steeper sigmoid, no stronger pull")
    left.legend(loc=(0.3, 0.8))

    directions = listeners(_USERS)
    rows = np.random.default_rng(5).choice(_USERS, 512, replace=False)
    truth = directions[rows] @ directions[rows].T
    others = 1.0 - np.eye(len(rows), dtype=np.float32)
    similar = (truth > _POLICY.similarity_threshold).astype(np.float32)
    bins = np.linspace(-0.3, 1.0, 27)
    off = others > 0
    count, _ = np.histogram(truth[off], bins)
    middle = (bins[1:] + bins[:-1]) / 2
    right.bar(middle, count / count.sum(), width=0.046, color=GREY, label="share of the pairs")
    for hard, colour in ((0, BLUE), (policy.hard_negatives, ORANGE)):
        weights = np.asarray(pair_weights(similar, others, truth.astype(np.float32), _POLICY.negative_ratio, hard))
        share, _ = np.histogram(truth[off], bins, weights=weights[off])
        right.step(
            middle, share, where="mid", color=colour, lw=1.4, label=f"share of the weight, hard negatives: {hard}"
        )
    right.axvline(_POLICY.similarity_threshold, color=INK, lw=0.8, ls="--")
    right.set(xlabel="similarity", ylim=(0, None))
    right.set_title("a batch of 512 users: what counts how much")
    right.legend(loc="upper left", fontsize=8)
    save(drawn, "loss")


def _similar(rows: Floats) -> NDArray[np.bool_]:
    similar: NDArray[np.bool_] = rows @ rows.T > _POLICY.similarity_threshold
    np.fill_diagonal(similar, False)
    return similar
