"""Bounds: how few coordinates separate most pairs, and the saving."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from benchmarks.plots.style import BLUE, GREEN, GREY, INK, ORANGE, figure, save
from retrainer.demo.audience import GeneratedAudience
from schemas.features import FeatureGroup
from stores.feature_store import Floats
from trainer.matrix.embeddings import Rows
from trainer.matrix.scaling import fit_space, to_directions
from trainer.pairs.bounds import Axes, Projection
from trainer.pairs.bounds_tuning import choose_projection
from trainer.pairs.precision import Precision

Mask = NDArray[np.bool_]

_USERS, _THRESHOLD = 3000, 0.8
_KEPT = 12  # fewer than is chosen, so that the picture shows something


def listeners(users: int) -> Floats:
    """Directions of generated listeners, (users, 301)."""
    group = FeatureGroup()
    rows = GeneratedAudience(users, seed=0).initial().upserts.values()
    raw = np.stack([np.concatenate([row[column.name] for column in group.columns]) for row in rows]).astype(np.float32)
    return to_directions(fit_space("picture", group, raw), group, raw)


def draw() -> None:
    """Upper bound against similarity, and the share of pairs that each number of axes leaves open."""
    directions = listeners(_USERS)
    everyone = np.arange(_USERS)
    sample = directions[:700]
    full = sample.astype(np.float64)
    axes = np.linalg.eigh(directions.T.astype(np.float64) @ directions)[1][:, ::-1]
    above = np.triu_indices(len(sample), 1)
    similarity = (full @ full.T)[above]

    drawn, (left, right) = figure(2, height=3.8)
    upper, lower = _bounds(sample, axes[:, :_KEPT])
    out, sure = upper[above] <= _THRESHOLD, lower[above] > _THRESHOLD
    open_ = ~out & ~sure
    kinds = ((out, GREY, "left out"), (sure, GREEN, "certain"), (open_, ORANGE, "decided by the full product"))
    for which, colour, name in kinds:
        left.scatter(similarity[which][::9], upper[above][which][::9], s=2, color=colour, rasterized=True)
        left.scatter([], [], s=16, color=colour, label=f"{name}: {which.mean():.1%} of pairs")
    left.plot([-0.2, 1], [-0.2, 1], color=INK, lw=0.8)
    left.axhline(_THRESHOLD, color=INK, lw=0.8, ls="--")
    left.set(xlabel="similarity", ylabel=f"upper bound from {_KEPT} of {directions.shape[1]} coordinates")
    left.set(xlim=(-0.2, 1.02), ylim=(-0.2, 1.02))
    left.set_title("no pair lies below the line")
    left.legend(loc="lower right", handletextpad=0.2)

    tried = [4, 8, 12, 16, 24, 32, 48, 64, 96, 128]
    shares = [[float(kind.mean()) for kind in _kinds(sample, axes[:, :kept], above)] for kept in tried]
    chosen = choose_projection(directions, everyone, _THRESHOLD, None, (Precision.FLOAT32,)).axes.shape[1]
    right.plot(tried, [survive for survive, _ in shares], color=BLUE, marker="o", ms=3, label="may be similar")
    right.plot(tried, [unsure for _, unsure in shares], color=ORANGE, marker="o", ms=3, label="left open by the bounds")
    right.axhline(float((similarity > _THRESHOLD).mean()), color=GREEN, lw=1, label="are similar")
    right.axvline(chosen, color=INK, lw=0.8, ls="--")
    right.annotate(f" chosen: {chosen}", (chosen, 0.3), fontsize=8)
    right.set(xscale="log", yscale="log", xlabel="coordinates kept", ylabel="share of all pairs", ylim=(1e-5, 1))
    right.set_xticks([4, 8, 16, 32, 64, 128], labels=["4", "8", "16", "32", "64", "128"])
    right.minorticks_off()
    right.set_title(f"{_USERS:,} generated listeners of {directions.shape[1]} columns")
    right.legend(loc="lower left")
    save(drawn, "bounds")


def _bounds(rows: Floats, axes: Axes) -> tuple[Floats, Floats]:
    short = Projection(axes).shorten(rows)
    upper = short @ short.T
    return upper, upper - 2 * np.outer(short[:, -1], short[:, -1])


def _kinds(rows: Floats, axes: Axes, above: tuple[Rows, ...]) -> tuple[Mask, Mask]:
    """Which pairs may be similar, and which of them the bounds leave open."""
    upper, lower = (bound[above] for bound in _bounds(rows, axes))
    return upper > _THRESHOLD, (upper > _THRESHOLD) & (lower <= _THRESHOLD)
