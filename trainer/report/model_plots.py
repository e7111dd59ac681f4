"""Pictures of how champion and challenger have answered the exam."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from schemas.evidence import CalibrationBin, Curve, Evidence, Histogram, ModelEvidence, ModelName
from trainer.report.drawing import Plot, legend, panels
from trainer.report.palette import Palette

_ORDER: tuple[ModelName, ...] = ("champion", "challenger")


def model_plots(evidence: Evidence) -> Iterator[Plot]:
    """All of them for which there is evidence."""
    models = {name: evidence.models[name] for name in _ORDER if name in evidence.models}
    if not models:
        return
    yield Plot(
        "distributions",
        "Cosines of similar and dissimilar pairs",
        "Of the sampled pairs, by each model: the less the two humps overlap, the better the model tells similar from "
        "dissimilar pairs. Half of the dissimilar pairs are the nearest there are, so this is harder than real life.",
        lambda palette: _distributions(models, palette),
    )
    for name, title, caption, x, y, pick in _CURVES:
        curves = {model: curve for model, found in models.items() if (curve := pick(found)) is not None}
        if curves:
            yield Plot(name, title, caption, _drawing(curves, x, y, diagonal=name != "precision-recall"))
    for name, title, caption, bins in (
        ("calibration", "Calibration", _CALIBRATED, {m: f.calibration for m, f in models.items()}),
        (
            "outcome-calibration",
            "Calibration, outcomes",
            _CALIBRATED.replace("similar", "positive"),
            {m: f.outcome_calibration for m, f in models.items()},
        ),
    ):
        if any(bins.values()):
            yield Plot(name, title, caption, _calibration_drawing(bins))


_CALIBRATED = (
    "Of the pairs that get a probability in each tenth, the share that is similar, drawn in the middle of the tenth: "
    "on the dashed line a probability means what it says, below it the model claims too much."
)
_Pick = Callable[[ModelEvidence], Curve | None]
_CURVES: tuple[tuple[str, str, str, str, str, _Pick], ...] = (
    (
        "roc",
        "ROC",
        "Sampled pairs, from the most similar down: how many similar ones are found for each share of dissimilar ones "
        "let in. The nearer to the upper left corner, the better; the dashed line is guessing.",
        "dissimilar pairs let in",
        "similar pairs found",
        lambda found: found.roc,
    ),
    (
        "precision-recall",
        "Precision and recall, all pairs",
        "Every pair of a held-out user with anybody, in true proportion: which share of the similar pairs is found, "
        "and how many of those called similar are. The nearer to the upper right corner, the better.",
        "recall of pairs",
        "precision",
        lambda found: found.precision_recall,
    ),
    (
        "outcome-roc",
        "ROC, outcomes",
        "Held-out labels against strangers as popular: how many positive labels are found for each share of strangers "
        "let in. The dashed line is guessing.",
        "strangers let in",
        "positive labels found",
        lambda found: found.outcome_roc,
    ),
)


def _distributions(models: Mapping[ModelName, ModelEvidence], palette: Palette) -> Figure:
    figure, axes = panels(len(models), 1, 0.8 + 1.5 * len(models), sharex=True)
    low = min(_lowest(found.histogram) for found in models.values())
    for panel, (name, found) in zip(axes, models.items(), strict=True):
        told = found.histogram
        edges = np.linspace(told.low, told.high, len(told.similar) + 1)
        for label, counts, colour in (
            ("dissimilar", told.dissimilar, palette.dissimilar),
            ("similar", told.similar, palette.similar),
        ):
            share = 100 * np.array(counts) / max(sum(counts), 1)
            panel.stairs(share, edges, fill=True, color=colour, alpha=0.35, label=label)
            panel.stairs(share, edges, color=colour, linewidth=1.2)
        panel.set_title(name)
        panel.set_xlim(low, 1.0)
        panel.yaxis.set_major_formatter("{x:g} %")
        panel.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2)
    axes[-1].set_xlabel("cosine by the model")
    figure.supylabel("share of the pairs", fontsize=9)
    return figure


def _lowest(histogram: Histogram) -> float:
    """The lower end of the first bin that has something in it, and no more than 0."""
    counts = np.array(histogram.similar) + np.array(histogram.dissimilar)
    used = np.flatnonzero(counts)
    width = (histogram.high - histogram.low) / len(counts)
    return min(0.0, histogram.low + width * int(used[0])) if len(used) else histogram.low


def _drawing(curves: Mapping[ModelName, Curve], x: str, y: str, *, diagonal: bool) -> Any:
    def draw(palette: Palette) -> Figure:
        figure, (axes,) = panels(height=3.4)
        if diagonal:
            axes.plot([0, 1], [0, 1], color=palette.ink, linewidth=0.8, linestyle="--")
        _lines(axes, curves, palette)
        axes.set(xlabel=x, ylabel=y, xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        legend(axes, loc="lower right" if diagonal else "lower left")
        return figure

    return draw


def _lines(axes: Any, curves: Mapping[ModelName, Curve], palette: Palette) -> None:
    """The champion wide and below, so that it can be seen where both are the same."""
    for name, curve in curves.items():
        wide = name == "champion"
        axes.plot(curve.x, curve.y, color=getattr(palette, name), linewidth=3.2 if wide else 1.4, label=name, alpha=0.9)


def _calibration_drawing(bins: Mapping[ModelName, tuple[CalibrationBin, ...]]) -> Any:
    def draw(palette: Palette) -> Figure:
        figure, (axes,) = panels(height=3.4)
        axes.plot([0, 1], [0, 1], color=palette.ink, linewidth=0.8, linestyle="--")
        for name, found in bins.items():
            middle = np.array([(one.low + one.high) / 2 for one in found])
            share = np.clip(middle - np.array([one.gap for one in found]), 0.0, 1.0)
            wide = name == "champion"
            axes.plot(
                middle,
                share,
                color=getattr(palette, name),
                marker="s" if wide else "o",
                markersize=7 if wide else 4,
                linewidth=3.2 if wide else 1.4,
                label=name if found else f"{name}: no pair gets a tenth",
                alpha=0.9,
            )
        axes.set(xlabel="probability by the model", ylabel="share that is so", xlim=(0, 1), ylim=(-0.02, 1.02))
        legend(axes, loc="upper left")
        return figure

    return draw
