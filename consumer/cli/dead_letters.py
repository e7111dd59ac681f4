"""`retrainer dead-letters`: records that could not be understood."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings

dead_letters = typer.Typer(
    name="dead-letters", help="Records that could not be understood, each with its reason.", no_args_is_help=True
)


@dead_letters.callback()
def group() -> None:
    """Records that could not be understood, each with its reason."""


@dead_letters.command("list")
def list_letters(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
) -> None:
    """List dead letters, newest first."""
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        found = ledger.views.dead_letters(limit)
    if as_json:
        typer.echo(json.dumps(found))
    elif not found:
        typer.echo("no dead letters")
    else:
        Console().print(_table(found))


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table("id", "position", "when", "stage", "bytes", "reason", box=None, pad_edge=False)
    for row in found:
        position = f"{row['topic']}[{row['partition']}]@{row['offset']}"
        table.add_row(str(row["id"]), position, row["event_at"][:19], row["stage"], str(row["bytes"]), row["reason"])
    return table
