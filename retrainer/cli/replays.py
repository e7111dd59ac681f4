"""`retrainer replays`: what was replayed, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Annotated, Any

import typer

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings
from retrainer.cli.output import listing, say, say_json

replays = typer.Typer(name="replays", help="What was replayed, and what came of it.", no_args_is_help=True)

_RANGES = 3  # of a replay that are shown one by one
_FIGURES = ("events", "users", "labels")
_HEADS = ("replay", "when", *_FIGURES, "outcome", "what")


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
        say_json(found)
    elif not found:
        say("nothing was replayed yet")
    else:
        listing(_HEADS, map(_row, found), right=_FIGURES)


def _row(one: Mapping[str, Any]) -> tuple[str, ...]:
    version = f" as version {one['version']}" if one["version"] else ""
    return (
        str(one["number"]),
        one["at"][:16].replace("T", " "),
        *(str(one[name]) for name in _FIGURES),
        f"{one['outcome']}{version}{' by ' + one['cycle_id'] if one['cycle_id'] else ''}",
        f"{_of(one['asked'])}: {_offsets(one['ranges'])}",
    )


def _of(asked: Mapping[str, Any] | None) -> str:
    if asked is None:
        return "-"
    if "dead_letters" in asked:
        return f"{len(asked['dead_letters'])} dead letters"
    times = [f"{name} {asked[name][:19]}" for name in ("from", "to") if asked.get(name)]
    users = [f"{asked['only_users']} users only"] if asked.get("only_users") else []
    return ", ".join([" ".join(times) or "offsets", *users])


def _offsets(ranges: Mapping[str, Mapping[int, Any]]) -> str:
    listed = [
        f"{topic}[{number}] {start} to {end}"
        for topic, partitions in ranges.items()
        for number, spans in partitions.items()
        for start, end in spans
    ]
    more = f" and {len(listed) - _RANGES} more ranges" if len(listed) > _RANGES else ""
    return ", ".join(listed[:_RANGES]) + more
