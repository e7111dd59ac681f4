"""`retrainer versions`: what was registered, why, and on what."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from consumer.ledger.best_versions import best_versions
from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings
from retrainer.cli.history.version_rows import list_versions
from retrainer.cli.history.words import Figure
from retrainer.cli.output import say, say_json

_SHOWN = 20


def versions(
    as_json: Annotated[
        bool, typer.Option("--json", help="For machines, oldest first, with offsets and all figures; of all versions.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help=f"At most so many. [default: {_SHOWN}]")] = None,
    sort: Annotated[
        Figure | None, typer.Option(metavar="FIGURE", help="By this figure of its own exam, the best first.")
    ] = None,
) -> None:
    """List the newest registered versions, newest first, or with --sort the best.

    A figure is that of a version's own exam, on the users of that day. Only the gate compares versions at one moment.
    """
    newest = limit or (None if as_json else _SHOWN)
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        if sort is None:
            found = ledger.views.versions(newest)[:: 1 if as_json else -1]
        else:
            found = best_versions(ledger.engine, sort, newest)
        known = ledger.views.count_versions()
    if as_json:
        say_json(found)
    elif not found:
        say("no version is registered yet")
    else:
        list_versions(found, sort)
        if known > len(found):
            say(f"and {known - len(found)} {'earlier' if sort is None else 'other'} ones: --limit {known} shows all")
