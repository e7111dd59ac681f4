"""Pairs: what changes in the graph when one user moves."""

from __future__ import annotations

import numpy as np

from benchmarks.plots.style import BLUE, GREEN, GREY, INK, ORANGE, RED, figure, save
from schemas.policies import PairPolicy
from stores.feature_store import Floats
from trainer.pairs.bounds import Bounds
from trainer.pairs.graph import Graph, update_graph
from trainer.pairs.view import View

_USERS = 60
_POLICY = PairPolicy(similarity_threshold=0.9, max_positives_per_user=3, threads=1)
_MOVES, _TO = 21, (0.45, 0.35)


def draw() -> None:
    """Users on a globe seen from above; the pairs before and after one of them moves."""
    places = _places()
    order = np.arange(_USERS)
    everyone = np.arange(_USERS)
    directions = _lifted(places)
    before = update_graph(Graph.empty(_POLICY), View(directions, Bounds.plain(directions), order), everyone, _POLICY)
    moved = places.copy()
    moved[_MOVES] = _TO
    directions = _lifted(moved)
    view = View(directions, Bounds.plain(directions), order)
    after = update_graph(before.graph, view, np.array([_MOVES]), _POLICY)

    drawn, (left, right) = figure(2, height=4.4)
    old = {tuple(pair) for pair in before.graph.pairs().tolist()}
    new = {tuple(pair) for pair in after.graph.pairs().tolist()}
    for panel, at, pairs in ((left, places, old), (right, moved, new)):
        for pair in pairs:
            fresh = panel is right and pair not in old
            look = {"color": GREEN, "lw": 1.8, "zorder": 2} if fresh else {"color": GREY, "lw": 1.0, "zorder": 1}
            panel.plot(*at[list(pair)].T, **look)
        panel.scatter(*at.T, s=18, color=BLUE, zorder=3)
        panel.scatter(*at[_MOVES], s=70, color=ORANGE, edgecolor=INK, zorder=4)
        panel.set(xlim=(-1.05, 1.05), ylim=(-0.75, 0.75), aspect="equal", xticks=[], yticks=[])
        panel.spines[:].set_visible(False)
    for pair in old - new:
        right.plot(*places[list(pair)].T, color=RED, lw=1.4, ls=":", zorder=2)
    right.annotate("", moved[_MOVES], places[_MOVES], arrowprops={"arrowstyle": "->", "color": ORANGE, "lw": 1.4})
    left.set_title(f"{_USERS} users, each with its 3 nearest:\n{len(old)} pairs")
    come, go = len(new - old), len(old - new)
    right.set_title(f"one user moved, {after.mined} row mined:\n{come} pairs come, {go} go, the others stay")
    save(drawn, "pairs")


def _places() -> Floats:
    drawn = np.random.default_rng(4).uniform(-1, 1, size=(4000, 2)) * (1, 0.7)
    places = drawn[:1]
    for place in drawn[1:]:  # nobody too near to anybody, so that links can be told apart
        if len(places) < _USERS and np.linalg.norm(places - place, axis=1).min() > 0.13:
            places = np.vstack([places, place])
    return places.astype(np.float32)


def _lifted(places: Floats) -> Floats:
    """Points of the plane as directions in space."""
    points = np.column_stack([places, np.full(len(places), 0.6)])
    unit: Floats = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    return unit
