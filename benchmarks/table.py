"""Showing rows: the table on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.table import Table

from benchmarks.rows import NO_TARGET, Row


def table(rows: Iterable[Row], kinds: Mapping[str, str] | None = None) -> Table:
    """All rows; a row that was not measured, or misses its target, is marked.

    Args:
        rows: what was measured.
        kinds: the kind of machine of each row, by its name; None where all are of this machine.
    """
    shown = Table(title="make bench", title_justify="left", show_lines=False)
    shown.add_column("name", no_wrap=True)
    for column in ("ours", "peer's", "ratio"):
        shown.add_column(column, justify="right", no_wrap=True)
    shown.add_column("target")
    shown.add_column("met", no_wrap=True)
    if kinds is not None:
        shown.add_column("worst on")
    above = ""
    for row in rows:
        detail = bool(above) and row.name.startswith(f"{above}.")
        above = above if detail else row.name
        shown.add_row(
            f"  {row.name.removeprefix(above)}" if detail else row.name,
            _with_unit(row.ours, row.unit),
            _with_unit(row.peer_value, row.unit),
            "" if row.ratio is None else _number(row.ratio),
            row.target,
            _met(row),
            *([] if kinds is None else [kinds[row.name]]),
        )
    return shown


def notes(rows: Iterable[Row]) -> list[str]:
    """What stands behind each figure: the peer, and what else is to be known."""
    return [f"{row.name}: {'; '.join(filter(None, [row.peer and f'against {row.peer}', row.note]))}" for row in rows]


def _met(row: Row) -> str:
    if row.measured and row.target == NO_TARGET:
        return ""
    if not row.measured:
        return "[bold red]not measured[/]" if row.peer_value is None else "[bold red]NO[/]"
    return "[green]yes[/]" if row.met else "[bold red]NO[/]"


def _with_unit(value: float | None, unit: str) -> str:
    return "" if value is None else f"{_number(value)} {unit}"


def _number(value: float) -> str:
    """Three digits that mean something, without powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")
