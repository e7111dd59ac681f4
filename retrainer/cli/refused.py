"""`retrainer refused`: users and labels whose rows are unfit for use, so that no version has learned them."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from consumer.dead_letters.render import when
from consumer.ledger.ledger import open_ledger
from consumer.ledger.refusals import Refusal
from consumer.settings import load_settings
from retrainer.cli.output import listing, say, say_json
from schemas.labels import pair_of
from schemas.refused import LABEL, USER, What

refused = typer.Typer(
    name="refused", help="Users and labels whose rows are unfit for use, each with the reason.", no_args_is_help=True
)

WAY_OUT = (
    "mend what writes these rows: a row is read again when it changes, and `retrainer train --full` reads every row"
)


@refused.callback()
def group() -> None:
    """Users and labels whose rows are unfit for use, each with the reason."""


@refused.command("list")
def list_refused(
    labels: Annotated[bool, typer.Option("--labels", help="Labels instead of users.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many, the last refused first; with --json all.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: all of them, users or labels.")] = False,
) -> None:
    """List users, or labels, that the last cycle that read them refused, and that no version has learned since."""
    what = LABEL if labels else USER
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        found = ledger.refusals.find(what, None if as_json else limit)
        count = ledger.refusals.counts()[what]
    if as_json:
        say_json([on_record(what, one) for one in found])
        return
    if found:
        listing((what, "since", "times", "reason"), (_row(what, one) for one in found), right={"times"})
    shown = "" if len(found) == count else f"; the last {len(found)} are shown, `--limit` or `--json` shows more"
    say(f"{count} {what}s are refused{shown}; {WAY_OUT}" if count else f"no {what}s are refused")


def on_record(what: What, one: Refusal) -> dict[str, Any]:
    """All that is known of one, as `--json` gives it."""
    return {
        what: one.key if what == USER else pair_of(one.key),
        "reason": one.reason,
        "since": datetime.fromtimestamp(one.since, UTC).isoformat(),
        "last_at": datetime.fromtimestamp(one.last_at, UTC).isoformat(),
        "times": one.times,
        "cycle_id": one.cycle_id,
    }


def _row(what: What, one: Refusal) -> tuple[str, str, str, str]:
    name = one.key if what == USER else " and ".join(pair_of(one.key))
    return name, when(one.since), str(one.times), one.reason
