"""`retrainer replay`: a backfill of a window of time, or of offsets."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.connection import connected
from consumer.cycles.foreground import run_cycle
from consumer.deadline import HELP, WITHOUT_PROGRESS, Deadline
from consumer.decoding import decoders
from consumer.errors import ConsumerError
from consumer.kafka.corrupt import why_corrupt
from consumer.kafka.once import consumer_for_once
from consumer.ledger.ledger import open_ledger
from consumer.lock import only_one
from consumer.logs import configure
from consumer.replays.extent import by_record_time, extents
from consumer.replays.found import Replayed
from consumer.replays.order import NoUsers, Order, is_over, new_head, resumed, users_in, window_of
from consumer.replays.reading import Reader
from consumer.replays.spool import Spool
from consumer.replays.telling import lines, notes, nothing, on_record
from consumer.replays.throttle import Throttle
from consumer.replays.window import Window, WrongOffsets, milliseconds, offsets_of
from consumer.settings import Settings, load_settings
from retrainer.cli.moment import is_relative, moment, span
from retrainer.cli.output import console, say, say_json
from retrainer.cli.train import report_cycle
from schemas.cycle import CycleKind

_TIMES = "2026-11-24T08:00 (UTC where no zone is given), 2h ago, -2h, now, or seconds or milliseconds since 1970"

say_beside = partial(say, err=True)


def replay(
    start: Annotated[str | None, typer.Option("--from", help=f"Begin of the window: {_TIMES}.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="End of the window, not included; now if left out.")] = None,
    last: Annotated[str | None, typer.Option(help="The window that ends now: 90s, 30m, 2h, 3d, 1w, 1h30m.")] = None,
    offsets: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TOPIC:]PARTITION[:FROM-TO]",
            help="Only these offsets, TO not included, such as 0:100-200; may come again.",
        ),
    ] = None,
    users: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Only these users, one id a line, and labels that name one.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and count, but change and train nothing.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Go on without what the topic does not hold any more, on record.")
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget what the same replay has read that was cut short.")
    ] = False,
    max_rate: Annotated[
        float | None, typer.Option(min=0.01, help="Records to read a second; as fast as can be.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.0, help=HELP)] = WITHOUT_PROGRESS,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Read the events of a window of time, or of offsets, again and learn their users and labels in a backfill cycle.

    Records count by their own time, and what is learned are the rows as they are today. It has a consumer of its own
    and never moves the live offsets. Where the service is running, it is asked to run the cycle; otherwise the cycle
    runs here. A replay that is killed goes on when the same command is given again. See docs/replay.md.
    """
    settings = load_settings()
    configure(settings.log)
    deadline = Deadline(timeout)
    settings = connected(settings, deadline=deadline)
    order = _order(settings, start, end, last, offsets or [], users, restart)
    throttle = Throttle(max_rate, time.monotonic())
    with only_one(folder := order.folder(settings)), closing(Spool(folder / "read.db")) as spool:
        read = partial(_read, settings, order, spool, deadline, throttle, allow_missing)
        if dry_run:
            found = _report(settings, *read(), as_json=as_json, after="nothing was changed")
            cycle = None
        else:
            found, cycle = _learn(settings, order, spool, deadline, read, as_json=as_json)
        shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        say_json({**found, "dry_run": dry_run, "cycle": cycle})
    if cycle is not None:
        report_cycle(cycle, quiet=as_json)


def _order(
    settings: Settings,
    start: str | None,
    end: str | None,
    last: str | None,
    offsets: list[str],
    users: Path | None,
    restart: bool,
) -> Order:
    """What was typed, made sense of.

    Raises:
        typer.BadParameter: it makes none.
    """
    now = datetime.now(UTC)
    if start is not None and last is not None:
        raise typer.BadParameter("--from and --last each say where the window begins; give one of them")
    if start is None and last is None and not offsets:
        raise typer.BadParameter("say what to replay: --from TIME, --last 2h, or --offsets 0:100-200")
    begin = None if start is None else moment(start, "--from", now)
    begin = begin if last is None else now - span(last, "--last")
    timed = begin is not None or end is not None
    until = moment(end, "--to", now) if end is not None else now if timed else None
    if begin is not None and until is not None and begin >= until:
        raise typer.BadParameter(f"--from {begin.isoformat()} is not before --to {until.isoformat()}")
    try:
        spans = offsets_of(offsets, settings.kafka.topics)
        only = None if users is None else users_in(users)
    except (WrongOffsets, NoUsers) as error:
        raise typer.BadParameter(str(error)) from None
    times = [None if one is None else milliseconds(one) for one in (begin, until)]
    window = Window(times[0], times[1], spans, only)
    relative = timed and (last is not None or end is None or any(is_relative(text) for text in (start, end) if text))
    return Order(window, {"from": start, "to": end, "last": last, "offsets": sorted(offsets)}, relative, restart)


def _read(
    settings: Settings, order: Order, spool: Spool, deadline: Deadline, throttle: Throttle, allow_missing: bool
) -> tuple[Window, Replayed]:
    kafka = settings.kafka
    with consumer_for_once(kafka, deadline, say_beside) as consumer, _progress(console(err=True)) as tick:
        ids = {topic: consumer.topic_id(topic) for topic in kafka.topics}
        goes_on = resumed(spool, order, ids, time.time(), say_beside)
        head = spool.head if goes_on and spool.head is not None else new_head(order, ids, time.time())
        window = window_of(order, head)
        reader = Reader(
            window,
            decoders(settings),
            lambda partition, offset: why_corrupt(kafka, partition, offset),
            deadline,
            throttle,
            allow_missing,
            tick,
        )
        if not goes_on:
            stretches, missing = extents(consumer, kafka.topics, window, lambda: by_record_time(kafka), deadline)
            head.stretches = stretches
            reader.miss(missing, head)
            spool.begin(head)
        try:
            return window, reader.read(consumer, spool)
        except KeyboardInterrupt:
            raise ConsumerError("interrupted; what was read is kept, and the same command goes on from there") from None


def _learn(
    settings: Settings,
    order: Order,
    spool: Spool,
    deadline: Deadline,
    read: Callable[[], tuple[Window, Replayed]],
    *,
    as_json: bool,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Read, unless that was done before, and have a cycle learn it; gives what was found, and the cycle."""
    with closing(open_ledger(settings.ledger.url)) as ledger:
        restart = spool.head is None or order.restart or is_over(spool, order, time.time())
        request = None if restart or spool.head is None else ledger.replays.request_of(spool.head.replay_id)
        if request is not None:
            say_beside("this replay was read and stored before; waiting for its cycle (--restart begins again)")
            found: dict[str, Any] = next(
                row["asked"] for row in reversed(ledger.replays.every()) if row["request"] == request
            )
        else:
            window, replayed = read()
            found = _report(settings, window, replayed, as_json=as_json)
            if not (replayed.batch.users or replayed.batch.labels):
                return found, None
            assert spool.head is not None
            request = ledger.intake.record_replay(
                replayed.ranges, replayed.events, replayed.batch, replay_id=spool.head.replay_id, told=found
            )
        return found, run_cycle(settings, ledger, CycleKind.BACKFILL, say_beside, request, deadline=deadline)


@contextmanager
def _progress(drawn: Console) -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("replaying"), BarColumn(), MofNCompleteColumn(), TextColumn("offsets"), TimeRemainingColumn())
    with Progress(*columns, console=drawn) as progress:
        task = progress.add_task("replay", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _report(
    settings: Settings, window: Window, replayed: Replayed, *, as_json: bool, after: str | None = None
) -> dict[str, Any]:
    batch, topics = replayed.batch, " or ".join(settings.kafka.topics)
    if replayed.events == 0:
        said = [nothing(window, topics), *notes(window, replayed)]
    else:
        said = list(lines(window, replayed))
        if not (batch.users or batch.labels):
            said.append("none of them is of our groups, so there is nothing to learn")
        elif after is not None:
            said.append(after)
    for line in said:
        say(line, err=as_json)
    return on_record(window, replayed)
