"""The characters we draw with, also for terminals and files that know ASCII alone."""

from __future__ import annotations

from retrainer.demo.story import StepView

_LEAST_SPREAD = 0.02  # of accuracies: less is noise and should look like it


class Glyphs:
    """One set of characters, either full or ASCII alone."""

    def __init__(self, *, ascii_only: bool) -> None:
        self._plain = ascii_only
        self._levels = "_.:-=+*#" if ascii_only else "▁▂▃▄▅▆▇█"
        self.dash = " - " if ascii_only else " · "
        self.rule = "-" if ascii_only else "─"

    def translated(self, text: str) -> str:
        """Arrows where they can be shown."""
        return text if self._plain else text.replace("->", "→")

    def mark(self, view: StepView) -> tuple[str, str]:
        """How a step is marked, and in which style."""
        if view.state == "done":
            return ("x" if self._plain else "✔"), "green"
        if view.state == "waiting":
            return ("." if self._plain else "○"), "dim"
        return (">" if self._plain else "●"), "bold yellow"

    def sparkline(self, values: list[float], width: int) -> str:
        """The whole course in at most `width` bars, from the lowest value to the highest."""
        every = max(1.0, len(values) / width)
        shown = [values[int((at + 1) * every) - 1] for at in range(min(width, len(values)))]
        low, spread = min(shown), max(max(shown) - min(shown), _LEAST_SPREAD)
        top = len(self._levels) - 1
        return "".join(self._levels[round((value - low) / spread * top)] for value in shown)
