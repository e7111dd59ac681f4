"""`retrainer train`: a cycle now."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from consumer.cycles.foreground import run_cycle
from consumer.deadline import HELP, WITHOUT_PROGRESS, Deadline
from consumer.ledger.ledger import open_ledger
from consumer.logs import configure
from consumer.settings import load_settings
from retrainer.cli.output import say
from schemas.cycle import CycleKind, Outcome
from schemas.guard import GuardName


def train(
    full: Annotated[bool, typer.Option("--full", help="From scratch, on all users.")] = False,
    accept: Annotated[
        list[GuardName] | None,
        typer.Option(case_sensitive=False, help="A limit of the guard to waive for this cycle; may come again."),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.0, help=HELP)] = WITHOUT_PROGRESS,
) -> None:
    """Run a cycle now, without waiting for the trigger, and see it end.

    Where the service is running, it is asked to; otherwise the cycle runs here. Without --full it learns the pending
    users on top of the champion. After a cycle that was held, --accept goes on beyond the limit that it names, for this
    cycle alone and on record. Exits with 0 also when the gate refused the new model or nothing was learned: that is a
    result; with 1 when the cycle failed or was held, or when a service that runs cycles has not taken up the request
    within --timeout, which withdraws it.
    """
    settings = load_settings()
    configure(settings.log)
    with closing(open_ledger(settings.ledger.url)) as ledger:
        kind = CycleKind.FULL if full else CycleKind.INCREMENTAL
        cycle = run_cycle(settings, ledger, kind, say, accept=accept or (), deadline=Deadline(timeout))
    report_cycle(cycle)


def report_cycle(cycle: dict[str, object] | None, *, quiet: bool = False) -> None:
    """Say how a cycle ended, unless it is `quiet`, and exit with 1 if it failed, or if somebody has to look."""
    if cycle is None:
        say("nothing is pending; `retrainer train --full` trains from scratch")
        return
    result = cycle["result"]
    assert isinstance(result, dict)
    version = f" as version {result['version']}" if result["version"] else ""
    lines = [f"cycle {cycle['cycle_id']} ({cycle['kind']}) {cycle['state']}{version}: {result['reason']}"]
    if result.get("way_out"):
        lines.append(f"to do: {result['way_out']}")
    if result.get("asks_full"):
        lines.append(f"a full retrain is asked for: {result['asks_full']}")
    for line in lines:
        say(line, err=quiet)
    if cycle["state"] in {Outcome.FAILED, Outcome.HELD}:
        raise typer.Exit(1)
