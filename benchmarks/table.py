"""Showing rows: the table on a terminal, and results.json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.rows import NO_TARGET, Row


def table(rows: Iterable[Row]) -> Table:
    """All rows; a row that was not measured, or misses its target, is marked."""
    shown = Table(title="make bench", title_justify="left", show_lines=False)
    shown.add_column("name", no_wrap=True)
    for column in ("ours", "peer's", "ratio"):
        shown.add_column(column, justify="right", no_wrap=True)
    shown.add_column("target")
    shown.add_column("met", no_wrap=True)
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
        )
    return shown


def notes(rows: Iterable[Row]) -> list[str]:
    """What stands behind each figure: the peer, and what else is to be known."""
    return [f"{row.name}: {'; '.join(filter(None, [row.peer and f'against {row.peer}', row.note]))}" for row in rows]


def write(path: Path, machine: Mapping[str, Any], rows: Iterable[Row]) -> None:
    """Write results.json."""
    path.write_text(json.dumps({"machine": machine, "rows": [row.as_dict() for row in rows]}, indent=2) + "\n")


def merge(path: Path, machine: Mapping[str, Any], rows: Iterable[Row]) -> None:
    """Put some rows into results.json, in the place of those of the same names or behind all others.

    Each says on which machine and when, as the others were measured elsewhere or at another time.
    """
    found = json.loads(path.read_text())
    new = {row.name: {**row.as_dict(), "machine": machine} for row in rows}
    kept = [new.pop(row["name"], row) for row in found["rows"]]
    path.write_text(json.dumps({**found, "rows": [*kept, *new.values()]}, indent=2) + "\n")


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
