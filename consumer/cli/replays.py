"""`retrainer replays`: what was replayed, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumer.dead_letters.showing import plain
from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings

replays = typer.Typer(name="replays", help="What was replayed, and what came of it.", no_args_is_help=True)

_RANGES = 3  # of a replay that are told one by one
_WIDTH_IN_FILES = 150


@replays.callback()
def group() -> None:
    """What was replayed, and what came of it."""


@replays.command("list")
def list_replays(
    as_json: Annotated[bool, typer.Option("--json", help="For machines, with all ranges.")] = False,
) -> None:
    """List what was replayed, oldest first: when, which offsets, how many events and users, its cycle and the outcome.

    Dead letters that were replayed are in it, too.
    """
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        found = ledger.replays.every()
    if as_json:
        typer.echo(json.dumps(found))
    elif not found:
        typer.echo("nothing was replayed yet")
    else:
        console = Console()
        if not console.is_terminal:
            console.width = _WIDTH_IN_FILES
        console.print(_table(found))


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table("replay", "when", "of", "offsets", "events", "users", "labels", "outcome", box=None, pad_edge=False)
    for one in found:
        version = f" as version {one['version']}" if one["version"] else ""
        cells = (
            str(one["number"]),
            one["at"][:16].replace("T", " "),
            _of(one["asked"]),
            _offsets(one["ranges"]),
            *(str(one[name]) for name in ("events", "users", "labels")),
            f"{one['outcome']}{version}{' by ' + one['cycle_id'] if one['cycle_id'] else ''}",
        )
        table.add_row(*(Text(plain(cell)) for cell in cells))
    return table


def _of(asked: Mapping[str, Any] | None) -> str:
    if asked is None:
        return "-"
    if "dead_letters" in asked:
        return f"{len(asked['dead_letters'])} dead letters"
    times = [f"{name} {asked[name][:19]}" for name in ("from", "to") if asked.get(name)]
    users = [f"{asked['only_users']} users only"] if asked.get("only_users") else []
    return ", ".join([" ".join(times) or "offsets", *users])


def _offsets(ranges: Mapping[str, Mapping[int, Any]]) -> str:
    told = [
        f"{topic}[{number}] {start} to {end}"
        for topic, partitions in ranges.items()
        for number, spans in partitions.items()
        for start, end in spans
    ]
    more = f" and {len(told) - _RANGES} more ranges" if len(told) > _RANGES else ""
    return ", ".join(told[:_RANGES]) + more
