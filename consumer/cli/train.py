"""`retrainer train`: a cycle now."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from consumer.cycles.foreground import run_cycle
from consumer.ledger.ledger import open_ledger
from consumer.logs import configure
from consumer.settings import load_settings
from schemas.cycle import CycleKind, Outcome


def train(
    full: Annotated[bool, typer.Option("--full", help="From scratch, on all users.")] = False,
) -> None:
    """Run a cycle now, without waiting for the trigger, and see it end.

    Where the service is running, it is asked to; otherwise the cycle runs here. Without --full it learns the pending
    users on top of the champion. Exits with 0 also when the gate refused the new model: that is a result.
    """
    settings = load_settings()
    configure(settings.log)
    with closing(open_ledger(settings.ledger.url)) as ledger:
        kind = CycleKind.FULL if full else CycleKind.INCREMENTAL
        cycle = run_cycle(settings, ledger, kind, typer.echo)
    report_cycle(cycle)


def report_cycle(cycle: dict[str, object] | None) -> None:
    """Say in a line how a cycle ended, and exit with 1 if it failed."""
    if cycle is None:
        typer.echo("nothing is pending; `retrainer train --full` trains from scratch")
        return
    result = cycle["result"]
    assert isinstance(result, dict)
    version = f" as version {result['version']}" if result["version"] else ""
    typer.echo(f"cycle {cycle['cycle_id']} ({cycle['kind']}) {cycle['state']}{version}: {result['reason']}")
    if cycle["state"] == Outcome.FAILED:
        raise typer.Exit(1)
