"""`retrainer dead-letters`: records that could not be understood, and what becomes of them."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import Annotated, Literal

import typer

from consumer.connection import connected
from consumer.dead_letters.letter import Entry, Status, Stored
from consumer.dead_letters.render import lines, on_record, when, whole
from consumer.dead_letters.replay import Verdict, replay_letters
from consumer.dead_letters.store import Letters, Which
from consumer.decoding import judge_by
from consumer.errors import LedgerError
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.plain import one_line
from consumer.settings import load_settings
from retrainer.cli.moment import moment
from retrainer.cli.output import listing, say, say_json

dead_letters = typer.Typer(
    name="dead-letters", help="Records that could not be understood, each with its reason.", no_args_is_help=True
)

_SINGLY = 20  # letters that have a line each
_HEADS = ("id", "position", "when", "stage", "bytes", "status", "reason")
_NO_RECORD = (
    "`retrainer train --full` reads every user again, `retrainer replay --from TIME` what the topic still holds; then "
    "discard the letter"
)

Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", help="Numbers of letters, as `list` shows them.")]
All = Annotated[bool, typer.Option("--all", help="All open letters that the filters let through.")]
Stage = Annotated[Literal["decode", "fetch", "gap", "size"] | None, typer.Option(help="Only of this stage.")]
Reason = Annotated[
    str | None, typer.Option("--with-reason", "--reason", help="Only those whose reason has this in it, in any case.")
]
Topic = Annotated[str | None, typer.Option(help="Only of this topic.")]
Since = Annotated[str | None, typer.Option(help="Only those stored since this time, ISO 8601; UTC without a zone.")]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@dead_letters.callback()
def group() -> None:
    """Records that could not be understood, each with its reason."""


@dead_letters.command("list")
def list_dead_letters(
    status: Annotated[Literal["open", "replayed", "discarded", "all"], typer.Option(help="Only of this.")] = "open",
    stage: Stage = None,
    reason: Reason = None,
    topic: Topic = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first: the open ones, if nothing else is asked for."""
    which = Which(None if status == "all" else status, stage, reason, topic, _seconds(since))
    with closing(_ledger()) as ledger:
        found = ledger.letters.find(which, limit)
        counts = ledger.letters.counts(which)
    if as_json:
        say_json([on_record(entry) for entry in found])
        return
    if found:
        listing(_HEADS, map(_row, found))
    shown = "" if len(found) == sum(counts.values()) else f"; the newest {len(found)} are shown"
    told = ", ".join(f"{count} {status} of stage {one_line(stage)}" for (status, stage), count in counts.items())
    say(f"{told}{shown}" if told else f"no {'' if status == 'all' else f'{status} '}dead letters")


@dead_letters.command("show")
def show_dead_letter(
    number: Annotated[int, typer.Argument(metavar="ID", help="The number of a letter, as `list` shows it.")],
    as_json: AsJson = False,
    raw: Annotated[bool, typer.Option("--raw", help="The bytes of the value, and nothing else.")] = False,
) -> None:
    """Show everything about one letter: key, value and headers as text where they are UTF-8, else as a hexdump."""
    with closing(_ledger()) as ledger:
        stored = ledger.letters.get(number)
    if stored is None:
        raise LedgerError(f"there is no dead letter {number}; see `retrainer dead-letters list --status all`")
    if raw and sys.stdout.isatty():
        raise typer.BadParameter("the bytes may steer this terminal: write them to a file or a pipe (--raw > FILE)")
    if raw:
        _write_value(stored)
    elif as_json:
        say_json(whole(stored))
    else:
        for line in lines(stored):
            say(line)


@dead_letters.command("replay")
def replay_dead_letters(
    ids: Ids = None,
    everything: All = False,
    stage: Stage = None,
    reason: Reason = None,
    topic: Topic = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would become of them.")] = False,
) -> None:
    """Decode letters again with today's settings. What is understood now is pending, once; the rest stays open.

    The service may be running. Exit code 1 where a letter that was named could not be replayed.
    """
    which = Which("open", stage, reason, topic, _seconds(since))
    settings = connected(load_settings())
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        wanted = _wanted(ledger.letters, ids, everything, which)
        counts: Counter[str] = Counter()
        left: list[Verdict] = []
        for verdict in replay_letters(ledger.letters, wanted, judge_by(settings), time.time(), dry_run=dry_run):
            counts[verdict.outcome] += 1
            if verdict.outcome not in {"pending", "ignored"}:
                left.append(verdict)
    missing = len(set(wanted)) - counts.total()
    _tell_left(left)
    say(_summary(counts, missing) + ("; nothing was changed" if dry_run else ""))
    if ids and (missing or any(verdict.outcome != "not open" for verdict in left)):
        raise typer.Exit(1)


@dead_letters.command("discard")
def discard_dead_letters(
    why: Annotated[str, typer.Option("--reason", help="Why they are not needed; stays on record, filters nothing.")],
    ids: Ids = None,
    everything: All = False,
    stage: Stage = None,
    reason: Annotated[str | None, typer.Option("--with-reason", help="Only those whose reason has this in it.")] = None,
    topic: Topic = None,
    since: Since = None,
    replayed: Annotated[bool, typer.Option("--replayed", help="Of the replayed ones, for the room they take.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Settle letters for good: what they may have said is given up, their bytes go. Position and reasons stay."""
    if not why.strip():
        raise typer.BadParameter("--reason is empty; say why the letters are not needed")
    status: Status = "replayed" if replayed else "open"
    which = Which(status, stage, reason, topic, _seconds(since))
    with closing(_ledger()) as ledger:
        wanted = _wanted(ledger.letters, ids, everything, which)
        if everything and wanted and not yes:
            typer.confirm(f"Discard {len(wanted)} {status} letters for good?", abort=True)
        said = why.encode(errors="backslashreplace").decode()
        discarded = ledger.letters.discard(wanted, said, time.time(), replayed=replayed)
    others = len(set(wanted)) - discarded
    say(f"{discarded} discarded" + (f"; {others} are not {status}, or not there" if others else ""))
    if ids and others:
        raise typer.Exit(1)


def _ledger() -> Ledger:
    return open_ledger(load_settings().ledger.url, create=False)


def _seconds(since: str | None) -> float | None:
    return None if since is None else moment(since, "--since").timestamp()


def _wanted(letters: Letters, ids: list[int] | None, everything: bool, which: Which) -> Sequence[int]:
    if bool(ids) == everything:
        raise typer.BadParameter("name letters by their numbers, or say --all")
    if ids and which != Which(which.status):
        raise typer.BadParameter("filters go with --all, not with numbers")
    return sorted(set(ids)) if ids else letters.ids(which)


def _row(entry: Entry) -> tuple[str, ...]:
    place, moment_of = str(entry.position), when(entry.event_at)
    return str(entry.id), place, moment_of, entry.stage, str(entry.size), entry.status, entry.reason


def _write_value(stored: Stored) -> None:
    if stored.letter.value is None:
        raise LedgerError(f"dead letter {stored.entry.id} has no value; see `retrainer dead-letters show`")
    with suppress(BrokenPipeError):  # the reader has had enough
        sys.stdout.buffer.write(stored.letter.value)
    sys.stdout.flush()


def _tell_left(left: Sequence[Verdict]) -> None:
    for verdict in left[:_SINGLY]:
        told = {"refused": "stays open", "no bytes": "holds no record"}.get(verdict.outcome, "is not open")
        say(f"{verdict.id} {told}: {one_line(verdict.said)}")
    if len(left) > _SINGLY:
        say(f"... and {len(left) - _SINGLY} more")
    if any(verdict.outcome == "no bytes" for verdict in left):
        say(f"what holds no record cannot be replayed: {_NO_RECORD}")


def _summary(counts: Counter[str], missing: int) -> str:
    told = f"{counts['pending']} understood and pending, {counts['ignored']} of other groups"
    told += f", {counts['refused']} stay open"
    for count, what in ((counts["no bytes"], "without a record"), (counts["not open"], "settled before")):
        told += f", {count} {what}" if count else ""
    return told + (f"; {missing} are not there" if missing else "")
