"""`retrainer cycles`: everything that was tried, and how it ended."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from consumer.ledger.ledger import open_ledger
from consumer.ledger.past_cycles import State, WhichCycles, find_cycles
from consumer.settings import load_settings
from retrainer.cli.history.cycle_rows import list_cycles
from retrainer.cli.moment import moment
from retrainer.cli.output import say, say_json
from schemas.cycle import CycleKind


def cycles(
    outcome: Annotated[list[State] | None, typer.Option(help="Only these; may come again.")] = None,
    kind: Annotated[list[CycleKind] | None, typer.Option(help="Only these; may come again.")] = None,
    since: Annotated[str | None, typer.Option(help="Claimed since then: 2026-11-24T08:00, 2h ago, -3d.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest ones.")] = 20,
    as_json: Annotated[
        bool, typer.Option("--json", help="For machines: all that is on record of each, also newest first.")
    ] = False,
) -> None:
    """List the newest cycles, newest first: why they ran, on what, what they measured, and how they ended."""
    earliest = None if since is None else moment(since, "--since").timestamp()
    wanted = WhichCycles(tuple(outcome or ()), tuple(kind or ()), earliest)
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        found = find_cycles(ledger.engine, wanted, limit + (not as_json))
    if as_json:
        say_json(found)
    elif not found:
        say("no cycle has run yet" if wanted == WhichCycles() else "no such cycle is on record")
    else:
        list_cycles(found[:limit])
        if len(found) > limit:
            say("there are earlier ones: --limit shows more")
