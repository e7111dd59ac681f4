"""`retrainer replay`: a backfill of a window of time."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.cli.moment import moment
from consumer.cli.output import cell, console, say
from consumer.cli.train import report_cycle
from consumer.connection import connected
from consumer.cycles.foreground import run_cycle
from consumer.decoding import decoders
from consumer.kafka.client import connect
from consumer.ledger.ledger import open_ledger
from consumer.logs import configure
from consumer.replay import Ranges, Replayed, find_window, read_window
from consumer.settings import Settings, load_settings
from schemas.cycle import CycleKind


def replay(
    start: Annotated[str, typer.Option("--from", help="Begin of the window, ISO 8601; UTC where no zone is given.")],
    end: Annotated[str | None, typer.Option("--to", help="End of the window, not included; now if left out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and count, but change and train nothing.")] = False,
) -> None:
    """Read the events of a window of time again and learn their users and labels in a backfill cycle.

    It has a consumer of its own and never moves the live offsets. Where the service is running, it is asked to run the
    cycle; otherwise the cycle runs here.
    """
    begin, until = moment(start, "--from"), datetime.now(UTC) if end is None else moment(end, "--to")
    if begin >= until:
        raise typer.BadParameter(f"--from {begin.isoformat()} is not before --to {until.isoformat()}")
    settings = load_settings()
    configure(settings.log)
    settings = connected(settings)
    replayed = _read(settings, begin, until)
    if replayed is None:
        topics = " or ".join(settings.kafka.topics)
        say(f"topic {topics} holds no events from {begin.isoformat()} to {until.isoformat()}")
        return
    _tell(replayed, dry_run)
    if dry_run:
        return
    with closing(open_ledger(settings.ledger.url)) as ledger:
        request = ledger.intake.record_replay(replayed.ranges, replayed.events, replayed.batch)
        cycle = run_cycle(settings, ledger, CycleKind.BACKFILL, say, request)
    report_cycle(cycle)


def _read(settings: Settings, begin: datetime, until: datetime) -> Replayed | None:
    bar = console(err=True)

    def waiting(reason: str, pause: float) -> None:
        bar.print(cell(f"waiting for the broker, next try in {pause:.0f} s: {reason}"))

    consumer = connect(settings.kafka, grouped=False, stopping=threading.Event(), waiting=waiting)
    assert consumer is not None
    with closing(consumer):
        ranges = find_window(consumer, settings.kafka.topics, begin, until)
        return _read_with_bar(bar, consumer, ranges, settings) if ranges else None


def _read_with_bar(console: Console, consumer: object, ranges: Ranges, settings: Settings) -> Replayed:
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TextColumn("events"), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("replay", total=sum(upper - lower for lower, upper in ranges.values()))
        return read_window(consumer, ranges, decoders(settings), lambda done: progress.update(task, completed=done))


def _tell(replayed: Replayed, dry_run: bool) -> None:
    for topic, partitions in replayed.ranges.items():
        for partition, (lower, upper) in sorted(partitions.items()):
            say(f"{topic}[{partition}]: offsets {lower} to {upper}")
    batch = replayed.batch
    whose = f"{len(batch.users)} users" + (f" and {len(batch.labels)} labels" if batch.labels else "")
    say(
        f"{replayed.events} events of {whose}; {sum(batch.ignored.values())} are of other groups, "
        f"{len(batch.dead)} cannot be understood" + ("; nothing was changed" if dry_run else "")
    )
