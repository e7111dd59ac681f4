"""Figures of matplotlib, and how they become SVG inside of a page, or PNG.

Texts stay texts, so that a reader can select them and a browser chooses the font. Ids get the figure's name in front,
since a page has many figures. What an SVG file needs and a page does not (declaration, metadata, a fixed size) goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from io import BytesIO, StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from trainer.report.palette import LIGHT, THEMED, Palette, themed

WIDTH = 4.7  # inches: on a phone a figure shrinks by a quarter, and can still be read
_DPI = 160
_COMMON: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # by which texts are measured; it is part of matplotlib
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "svg.fonttype": "none",
    "text.parse_math": False,
}
_ID = re.compile(r'\bid="([^"]+)"')
_REFERENCE = re.compile(r'(url\(#|href="#)')
_HEAD = re.compile(r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>")
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r"<style .*?</style>", re.DOTALL)
_FAMILY = " font-family: 'DejaVu Sans';"
_FONT = re.compile(r"font: (?:(?:\w+|[\d.]+) )*?([\d.]+)px [^;\"]+")

Draw = Callable[[Palette], Figure]


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture of a report.

    Attributes:
        name: of its file, and in ids.
        title: what is shown.
        caption: what to see in it.
        draw: makes the figure in the colours of a palette.
    """

    name: str
    title: str
    caption: str
    draw: Draw


def svg(plot: Plot) -> str:
    """The picture as an element of a page, in colours that follow the page."""
    with _style(THEMED):
        file = StringIO()
        drawn = plot.draw(THEMED)
        canvas: Any = FigureCanvasSVG(drawn)
        canvas.print_svg(file, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = file.getvalue()
    text = _STYLE.sub("", _METADATA.sub("", text[text.index("<svg") :]))
    text = _ID.sub(rf'id="{plot.name}-\1"', text)
    text = _REFERENCE.sub(rf"\g<1>{plot.name}-", text)
    text = _FONT.sub(r"font-size: \1px", text).replace(_FAMILY, "")
    label = escape(f"{plot.title}. {plot.caption}", quote=True)
    return themed(_HEAD.sub(lambda head: f'<svg viewBox="{head[1]}" role="img" aria-label="{label}">', text, count=1))


def png(plot: Plot) -> bytes:
    """The picture as a file of its own, on white."""
    with _style(LIGHT):
        file = BytesIO()
        drawn = plot.draw(LIGHT)
        drawn.set_facecolor("white")
        drawn.set_dpi(_DPI)
        canvas: Any = FigureCanvasAgg(drawn)
        canvas.print_png(file, metadata={"Software": None})
    return file.getvalue()


def panels(rows: int = 1, columns: int = 1, height: float = 3.0, **options: Any) -> tuple[Figure, list[Any]]:
    """A figure with panels, row by row."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False, **options).ravel())


def legend(axes: Any, **options: Any) -> None:
    """A legend where there is something to tell apart."""
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(**options)


@contextmanager
def _style(palette: Palette) -> Iterator[None]:
    inked = "text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color"
    coloured: dict[Any, Any] = dict.fromkeys(inked, palette.ink)
    with mpl.rc_context({**_COMMON, **coloured, "grid.color": palette.faint, "svg.hashsalt": "retrainer"}):
        yield
