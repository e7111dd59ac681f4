"""`retrainer versions`: what was registered, why, and on what."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings

_COLUMNS = ("version", "kind", "base", "why", "users", "pairs", "accuracy", "champion's", "recall@10", "registered")
_TEXTS = {"kind", "why", "registered"}
_WIDTH_IN_FILES = 150


def versions(
    as_json: Annotated[bool, typer.Option("--json", help="For machines, with offsets and all figures.")] = False,
) -> None:
    """List the registered versions, oldest first."""
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        found = ledger.views.versions()
    if as_json:
        typer.echo(json.dumps(found))
    elif not found:
        typer.echo("no version is registered yet")
    else:
        console = Console()
        if not console.is_terminal:
            console.width = _WIDTH_IN_FILES
        console.print(_table(found))


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name in _TEXTS else "right")
    for row in found:
        gate, metrics = row["gate"] or {}, row["metrics"] or {}
        table.add_row(
            f"{row['version']}{' *' if row['champion'] else ''}",
            row["kind"],
            str(row["base_version"] or "-"),
            row["reason"],
            str(row["changed_users"]),
            str(row["pairs"]),
            _figure(metrics.get("accuracy")),
            _figure((gate.get("champion") or {}).get("accuracy")),
            _figure(metrics.get("recall_at_10")),
            row["registered_at"][:19],
        )
    table.caption = "* champion"
    return table


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
