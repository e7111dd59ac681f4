"""The status at the bottom of a terminal: what was read, what waits, how far the cycle is, how well it learns."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from consumer.plain import one_line
from retrainer.demo.glyphs import Glyphs
from retrainer.demo.narration import accuracies
from retrainer.demo.story import CycleView, Story

_MARGIN = 3  # a terminal that echoes ^C at the end of a full line begins a new one, and the status is not wiped out
_ROOMY = 100  # characters


def status(story: Story, glyphs: Glyphs, width: int, time: str) -> RenderableType:
    """The status for a terminal of `width` characters."""
    cycle = story.cycle
    pending = f"{story.pending:,}" + (f" + {story.pending_labels:,} labels" if story.pending_labels else "")
    numbers = Text.assemble(
        ("events read ", "dim"),
        (f"{story.events:,}", "bold"),
        ("   users pending ", "dim"),
        (pending, "bold yellow" if story.pending or story.pending_labels else "bold"),
        ("   versions ", "dim"),
        (str(sum(one.version is not None for one in story.cycles)), "bold"),
        ("   time ", "dim"),
        time,
    )
    parts: list[RenderableType] = [numbers]
    if cycle is None:
        parts.append(Text("waiting for changes", style="dim"))
    else:
        gap, bars = (3, 24) if width >= _ROOMY else (1, 12)
        parts += [_steps(cycle, glyphs, gap), _progress(cycle, glyphs, bars)]
    return Panel(
        Group(*parts),
        title=Text("between two cycles" if cycle is None else f"{one_line(cycle.kind)} cycle"),
        title_align="left",
        border_style="cyan",
        padding=(0, 1),
        width=max(20, width - _MARGIN),
    )


def _steps(cycle: CycleView, glyphs: Glyphs, gap: int) -> Text:
    """The nine steps: done, at work, to come."""
    line = Text(no_wrap=True, overflow="crop")
    for step, view in cycle.steps.items():
        mark, style = glyphs.mark(view)
        count = f" {view.done}/{view.total}" if view.state == "running" and view.total else ""
        line.append(f"{mark}{' ' if gap > 1 else ''}{step}{count}" + " " * gap, style)
    return line


def _progress(cycle: CycleView, glyphs: Glyphs, bars: int) -> RenderableType:
    """How much of the cycle is done, and accuracy by epoch."""
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=bars)
    row.add_column(no_wrap=True, overflow="crop")
    learned = Text()
    if cycle.train:
        line = glyphs.sparkline(cycle.dev or cycle.train, bars)
        learned = Text.assemble((line, "green"), "  ", accuracies(cycle))
    row.add_row(ProgressBar(total=1.0, completed=cycle.share_done, width=bars), learned)
    return row
