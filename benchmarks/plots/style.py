"""How the pictures look: colours that stay apart for colour-blind eyes, no more ink than needed, legible when small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

IMAGES = Path(__file__).parents[2] / "docs" / "images"

BLUE, ORANGE, GREEN, RED, GREY, INK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#B8BDC4", "#22272E"

plt.rcParams.update(
    {
        "figure.dpi": 150,
        "savefig.bbox": "tight",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "text.color": INK,
        "legend.frameon": False,
    }
)


def figure(columns: int, width: float = 9.0, height: float = 3.6) -> tuple[Any, Any]:
    """A figure with so many panels side by side, and the panels."""
    drawn, panels = plt.subplots(1, columns, figsize=(width, height), constrained_layout=True, squeeze=False)
    return drawn, panels[0]


def grid(rows: int, columns: int, width: float = 9.0, height: float = 3.6) -> tuple[Any, Any]:
    """A figure with panels in rows and columns over one horizontal axis, and the panels, row by row."""
    size = width, height
    drawn, panels = plt.subplots(rows, columns, figsize=size, constrained_layout=True, squeeze=False, sharex=True)
    return drawn, panels


def save(drawn: Any, name: str, folder: Path = IMAGES) -> None:
    """Write a figure into the folder of images, without a date, so that the same figure is the same file."""
    folder.mkdir(exist_ok=True)
    drawn.savefig(folder / f"{name}.png", metadata={"Software": None})
    plt.close(drawn)
