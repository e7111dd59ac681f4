"""The page of a cycle: one file of HTML with its pictures inside. It loads nothing and runs no script."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.decision import decision
from schemas.evidence import Evidence
from trainer.report import tables
from trainer.report.cycle_plots import epoch_plots, guard_plots, slice_plots, version_plots
from trainer.report.drawing import Plot, svg
from trainer.report.html import Raw, element, joined, section
from trainer.report.model_plots import model_plots
from trainer.report.neighbour_tables import neighbours
from trainer.report.style import CSS

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""A browser loads nothing for this page, whatever is in it."""


def plots_of(evidence: Evidence) -> Iterator[Plot]:
    """Every picture of the report, in the order of the page."""
    for kind in (model_plots, slice_plots, epoch_plots, guard_plots, version_plots):
        yield from kind(evidence)


def page(evidence: Evidence) -> str:
    """The report of a cycle as one file of HTML."""
    result = evidence.result
    title = f"Report of cycle {evidence.cycle_id}"
    head = element(
        "head",
        Raw('<meta charset="utf-8">'),
        Raw('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Raw(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("title", f"{title}: {result.outcome.value}"),
        element("style", Raw(CSS)),
    )
    top = element(
        "header",
        element("h1", title),
        element("p", decision(result), class_="decision"),
        element("p", f"{evidence.model_name}, {evidence.written_at:%Y-%m-%d %H:%M} UTC", class_="quiet"),
    )
    asks = element("p", f"A full retrain is asked for: {result.asks_full}.") if result.asks_full else Raw("")
    body = [
        section("What changed", asks, tables.what_changed(evidence), tables.refused(evidence)),
        section(
            "Champion and challenger", _unexamined(evidence), tables.compared(result), _pictures(model_plots(evidence))
        ),
        section("What the gate compared", tables.comparisons(result)),
        section("Slices", _pictures(slice_plots(evidence)), tables.slices(evidence)),
        section("Learning", tables.learned(evidence), _pictures(epoch_plots(evidence))),
        section("Guard", _pictures(guard_plots(evidence)), tables.guard(result)),
        section("Nearest users", neighbours(evidence)),
        section("Versions", _pictures(version_plots(evidence)), tables.versions(evidence)),
        section("Time", tables.seconds(result)),
    ]
    content = element("body", top, element("main", *body), class_=result.outcome.value)
    return f"<!doctype html>\n{element('html', head, content, lang='en')}\n"


def _unexamined(evidence: Evidence) -> Raw:
    if evidence.result.gate is None:
        return element("p", "The cycle ended before its exam, so no model was scored.")
    if "challenger" not in evidence.models and "champion" in evidence.models:
        return element("p", "There is no challenger: the champion alone was scored.")
    return Raw("")


def _pictures(plots: Iterator[Plot]) -> Raw:
    drawn = [
        element("figure", element("h3", plot.title), Raw(svg(plot)), element("figcaption", plot.caption))
        for plot in plots
    ]
    return element("div", *drawn, class_="pictures") if drawn else joined([])
