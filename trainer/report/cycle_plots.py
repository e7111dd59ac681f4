"""Pictures of the cycle itself: its epochs, its slices, its guard, and the versions before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from schemas.evidence import EpochFigures, Evidence, Interval, ModelName
from schemas.figures import words
from schemas.guard import Finding
from schemas.reports import VersionFigures
from trainer.report.drawing import Plot, legend, panels
from trainer.report.palette import Palette

_DEV = {
    "dev_accuracy": "accuracy of dev users",
    "dev_recall": "recall@10 of dev users",
    "dev_auc": "AUC of labels of dev users",
    "dev_recall_at_50": "recall@50 of labels of dev users",
}
_SLICED = ("accuracy", "recall_at_10", "precision", "recall", "outcome_auc", "recall_at_50")
_FAR = 1.6  # times its limit: figures beyond are drawn there
_LEAST_SPAN = 0.02  # of an axis over versions: smaller changes should not look large
_TOP = 1.002  # no figure is above 1
_OVER_VERSIONS = ("accuracy", "recall_at_10", "average_precision", "outcome_auc", "recall_at_50")


def epoch_plots(evidence: Evidence) -> Iterator[Plot]:
    """Loss and dev figures by epoch."""
    epochs = evidence.epochs
    if not epochs:
        return
    fits = max(one.fit for one in epochs)
    two = " Two fits are tried, one from the champion's weights and one restarted on today's axes." if fits > 1 else ""
    yield Plot("loss", "Loss by epoch", f"Falling means that the model still learns.{two}", lambda p: _loss(epochs, p))
    if any(getattr(one, field) is not None for one in epochs for field in _DEV):
        yield Plot(
            "dev",
            "Figures of dev users by epoch",
            "On users who are never trained on: the epoch with the best figures is kept, and none where the start was "
            "as good.",
            lambda palette: _dev(epochs, palette),
        )


def slice_plots(evidence: Evidence) -> Iterator[Plot]:
    """Figures by slice with their intervals."""
    if evidence.intervals:
        yield Plot(
            "slices",
            "Figures by slice",
            "The point is the figure, the line holds 95 % of its bootstrap draws over users. Where the two lines "
            "overlap widely, champion and challenger cannot be told apart there.",
            lambda palette: _slices(evidence.intervals, palette),
        )


def guard_plots(evidence: Evidence) -> Iterator[Plot]:
    """Figures of the guard beside their limits."""
    guard = evidence.result.guard
    if guard is not None and any(one.limit > 0 for one in guard.findings):
        yield Plot(
            "guard",
            "Guard: figures as a share of their limits",
            "What reaches beyond the line of its limit holds the cycle, unless a person has accepted it.",
            lambda palette: _guard(guard.findings, palette),
        )


def version_plots(evidence: Evidence) -> Iterator[Plot]:
    """Figures over the versions, this one the last."""
    versions = with_this(evidence)
    if len(versions) > 1:
        yield Plot(
            "versions",
            "Figures over versions",
            "Each version on the exam of its own cycle, so on other users and other rows: a slow slope is worth a "
            "look, a single step is not. Squares are versions trained from scratch.",
            lambda palette: _versions(versions, palette),
        )


def with_this(evidence: Evidence) -> list[VersionFigures]:
    """The earlier versions, and the one of this cycle where it has registered one."""
    result = evidence.result
    metrics = result.gate.challenger if result.gate else None
    found = [one for one in evidence.versions if one.version != result.version]
    if result.version is not None and metrics is not None:
        figures = {name: getattr(metrics, name) for name in _OVER_VERSIONS}
        found.append(
            VersionFigures(
                version=result.version, registered_at=evidence.written_at, kind=evidence.kind.value, **figures
            )
        )
    return found


def _loss(epochs: Sequence[EpochFigures], palette: Palette) -> Figure:
    figure, (axes,) = panels(height=2.6)
    for fit, label, colour, style in _fits(epochs, palette):
        of_fit = [one for one in epochs if one.fit == fit]
        axes.plot(_numbers(of_fit), [one.loss for one in of_fit], style, color=colour, label=label, markersize=4)
    axes.set(xlabel="epoch", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len({one.fit for one in epochs}) > 1:
        legend(axes)
    return figure


def _dev(epochs: Sequence[EpochFigures], palette: Palette) -> Figure:
    fields = [field for field in _DEV if any(getattr(one, field) is not None for one in epochs)]
    figure, axes = panels(len(fields), 1, 0.6 + 1.4 * len(fields), sharex=True)
    for panel, field in zip(axes, fields, strict=True):
        for fit, label, colour, style in _fits(epochs, palette):
            known = [one for one in epochs if one.fit == fit and getattr(one, field) is not None]
            values = [getattr(one, field) for one in known]
            panel.plot(_numbers(known), values, style, color=colour, label=label, markersize=4)
        panel.set_title(_DEV[field])
        panel.yaxis.set_major_locator(MaxNLocator(4))
    axes[-1].set_xlabel("epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len({one.fit for one in epochs}) > 1:
        legend(axes[0])
    return figure


def _fits(epochs: Sequence[EpochFigures], palette: Palette) -> list[tuple[int, str, str, str]]:
    drawn = [
        (1, "from the weights of before", palette.challenger, "o-"),
        (2, "restarted", palette.similar, "s--"),
    ]
    there = {one.fit for one in epochs}
    return [one for one in drawn if one[0] in there]


def _numbers(epochs: Sequence[EpochFigures]) -> list[int]:
    """Epochs of a fit, from 1."""
    return list(range(1, len(epochs) + 1))


def _slices(intervals: Sequence[Interval], palette: Palette) -> Figure:
    figures = [name for name in _SLICED if any(one.figure == name for one in intervals)]
    groups = list(dict.fromkeys(one.slice for one in intervals))
    rows = -(-len(figures) // 2)
    figure, axes = panels(rows, 2, 0.7 + rows * (0.55 + 0.36 * len(groups)), sharey=True)
    models: tuple[ModelName, ...] = ("champion", "challenger")
    for panel in axes[len(figures) :]:
        panel.set_visible(False)
    for panel, name in zip(axes, figures, strict=False):
        for model, shift, marker in zip(models, (-0.15, 0.15), "so", strict=True):
            of_model = {one.slice: one for one in intervals if one.figure == name and one.model == model}
            at = [number + shift for number, group in enumerate(groups) if group in of_model]
            found = [of_model[group] for group in groups if group in of_model]
            if not found:
                continue
            colour = getattr(palette, model)
            panel.hlines(at, [one.low for one in found], [one.high for one in found], color=colour, linewidth=1.8)
            panel.plot([one.value for one in found], at, marker, color=colour, markersize=4.5, label=model)
        panel.set_title(words(name))
        panel.set_yticks(range(len(groups)), [_group(intervals, group) for group in groups])
        panel.set_ylim(len(groups) - 0.5, -0.5)
        panel.xaxis.set_major_locator(MaxNLocator(3))
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _group(intervals: Sequence[Interval], group: Any) -> str:
    users = next(one.users for one in intervals if one.slice == group)
    return f"{'all' if group is None else group.value}\n({users:,})"


def _guard(findings: Sequence[Finding], palette: Palette) -> Figure:
    shown = [one for one in findings if one.limit > 0]
    figure, (axes,) = panels(height=0.7 + 0.3 * len(shown))
    shares = np.array([one.figure / one.limit for one in shown])
    colours = [palette.bad if one.exceeded else palette.similar for one in shown]
    axes.barh(range(len(shown)), np.minimum(shares, _FAR), color=colours, height=0.6)
    axes.axvline(1.0, color=palette.ink, linewidth=1.2)
    for number, share in enumerate(shares):
        told = f"{share:.0%}" if share <= _FAR else f"{share:.0%} →"
        axes.annotate(told, (min(share, _FAR), number), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(shown)), [one.name.value.replace("_", " ") for one in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, _FAR * 1.22)
    axes.set_xticks([0, 0.5, 1.0], ["0", "half", "limit"])
    axes.grid(visible=False, axis="y")
    return figure


def _versions(versions: Sequence[VersionFigures], palette: Palette) -> Figure:
    fields = [name for name in _OVER_VERSIONS if sum(getattr(one, name) is not None for one in versions) > 1]
    figure, axes = panels(len(fields), 1, 0.5 + 1.15 * len(fields), sharex=True)
    for panel, name in zip(axes, fields, strict=True):
        known = [one for one in versions if getattr(one, name) is not None]
        panel.plot([one.version for one in known], [getattr(one, name) for one in known], color=palette.challenger)
        for marker, scratch in (("o", False), ("s", True)):
            some = [one for one in known if (one.kind in {"bootstrap", "full"}) == scratch]
            panel.plot(
                [one.version for one in some],
                [getattr(one, name) for one in some],
                marker,
                color=palette.champion if scratch else palette.challenger,
                markersize=5.5 if scratch else 3.5,
            )
        panel.set_title(words(name))
        low, high = panel.get_ylim()
        around = max(0.0, _LEAST_SPAN - (high - low)) / 2
        panel.set_ylim(low - around, min(high + around, _TOP))
        panel.yaxis.set_major_locator(MaxNLocator(3))
    axes[-1].set_xlabel("version")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure
