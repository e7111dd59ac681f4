"""Results as aligned lines for people, or as JSON for machines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.text import Text

from consumer.plain import one_line
from retrainer.doctor.checks import Result, Severity

_MARKS = {
    Severity.OK: ("✓", "+", "green"),
    Severity.WARNING: ("!", "!", "yellow"),
    Severity.FAILED: ("✗", "x", "bold red"),
    Severity.SKIPPED: ("–", "-", "dim"),  # noqa: RUF001
}
_NAMES = 18  # characters, as long as the longest name


class Report:
    """Lines on a console, each as soon as its result is there. A console of ASCII gets marks of ASCII."""

    def __init__(self, console: Console) -> None:
        self._console = console
        try:
            "".join(mark for mark, _, _ in _MARKS.values()).encode(console.encoding)
        except UnicodeEncodeError:
            self._ascii = True
        else:
            self._ascii = False

    def line(self, result: Result) -> None:
        """Print one result, with what to do below; unused ones are left out."""
        if result.unused:
            return
        mark, plain, style = _MARKS[result.severity]
        quiet = "dim" if result.severity is Severity.SKIPPED else ""
        line = Text.assemble(
            (plain if self._ascii else mark, style), " ", (f"{result.name:<{_NAMES}} {one_line(result.found)}", quiet)
        )
        # The terminal wraps the line, so that a command can be copied as it is.
        self._console.print(line, soft_wrap=True)
        if result.todo:
            arrow = "->" if self._ascii else "→"
            self._console.print(Text(f"{'':<{_NAMES + 2}} {arrow} {one_line(result.todo)}", "bold"), soft_wrap=True)

    def summary(self, results: Iterable[Result]) -> None:
        """Print the number of results of each severity."""
        counts = tally(result for result in results if not result.unused)
        told = [f"{counts[severity]} {severity}" for severity in Severity if counts[severity]]
        self._console.print(Text(", ".join(told), "bold red" if counts[Severity.FAILED] else "bold green"))


def tally(results: Iterable[Result]) -> dict[Severity, int]:
    """Number of results of each severity."""
    counts = dict.fromkeys(Severity, 0)
    for result in results:
        counts[result.severity] += 1
    return counts


def as_json(results: Iterable[Result]) -> dict[str, Any]:
    """`{"ok": …, "checks": [{name, severity, found, todo}]}`; warnings are ok."""
    checks = [
        {"name": one.name, "severity": one.severity.value, "found": one.found, "todo": one.todo} for one in results
    ]
    return {"ok": all(check["severity"] != Severity.FAILED for check in checks), "checks": checks}
