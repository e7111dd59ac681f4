"""The screen: a story that scrolls, and on a terminal a status below it that moves.

Piped to a file, it is the same story as plain lines, with some epochs of every fit in place of the status.
"""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from consumer.plain import UNLESS_IT_HAS_IT, one_line
from retrainer.demo.glyphs import Glyphs
from retrainer.demo.narration import Said, Tone
from retrainer.demo.status import status
from retrainer.demo.story import Story

_PLAIN_WIDTH = 110  # of a file; a terminal knows its own
_REFRESHES = 8  # a second
_SUBJECT = 10  # characters
_STYLES: dict[Tone, str] = {
    "plain": "",
    "quiet": "dim",
    "good": "bold green",
    "held": "yellow",
    "bad": "bold red",
    "head": "bold cyan",
    "detail": "dim",
}
_NUMBERS = r"(?<![\w.])[+-]?\d(?:[\d,.]*\d)?(?!\w)"


class Screen:
    """Draws what is said and where the story stands. As a context manager it leaves the terminal as it was.

    Args:
        story: read whenever the status is drawn.
        console: where to draw; standard output by default.
        clock: seconds, for the time at the left.
    """

    def __init__(
        self, story: Story, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.console = console or _standard_console()
        self._story = story
        self._clock = clock
        self._start = clock()
        self._glyphs = Glyphs(ascii_only=self.console.options.ascii_only)
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(
                get_renderable=self._status, console=self.console, refresh_per_second=_REFRESHES, transient=True
            )
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, said: Iterable[Said]) -> None:
        """Let lines scroll by. `detail` is for those who see no status."""
        for line in said:
            if line.tone == "head":
                self._chapter(line)
            elif line.tone != "detail" or self._live is None:
                self.console.print(self._line(line))
        if self._live is not None:
            self._live.refresh()
        if getattr(self.console.file, "gone", False):
            raise KeyboardInterrupt  # nobody watches any more

    def _chapter(self, line: Said) -> None:
        self.console.print()
        title = Text.assemble((one_line(line.subject), "bold cyan"), f"{self._glyphs.dash}{one_line(line.text)}")
        self.console.rule(title, align="left", style="cyan", characters=self._glyphs.rule)

    def _line(self, line: Said) -> RenderableType:
        style = _STYLES[line.tone]
        text = Text(self._glyphs.translated(one_line(line.text)), style=style)
        if not style:
            text.highlight_regex(_NUMBERS, "bold")
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(justify="right", width=5, style="dim")
        row.add_column(width=_SUBJECT, style=style or "cyan", no_wrap=True)
        row.add_column(overflow="fold")
        row.add_row(clock_time(self._clock() - self._start), Text(one_line(line.subject)), text)
        return row

    def _status(self) -> RenderableType:
        seconds = self._clock() - self._start
        return status(self._story, self._glyphs, self.console.width, clock_time(seconds))


def clock_time(seconds: float) -> str:
    """`2:05` for 125 seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _standard_console() -> Console:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=UNLESS_IT_HAS_IT)  # what cannot be written is not worth an end of the demo
    console = Console(highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        return console
    return Console(highlight=False, markup=False, emoji=False, width=_PLAIN_WIDTH)
