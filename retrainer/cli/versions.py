"""`retrainer versions`: what was registered, why, and on what."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings
from retrainer.cli.output import say, say_json
from retrainer.cli.version_rows import list_versions

_SHOWN = 20


def versions(
    as_json: Annotated[
        bool, typer.Option("--json", help="For machines, oldest first, with offsets and all figures; of all versions.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help=f"At most so many. [default: {_SHOWN}]")] = None,
) -> None:
    """List the newest registered versions, newest first."""
    newest = limit or (None if as_json else _SHOWN)
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        found, known = ledger.views.versions(newest), ledger.views.count_versions()
    if as_json:
        say_json(found)
    elif not found:
        say("no version is registered yet")
    else:
        list_versions(found[::-1])
        if known > len(found):
            say(f"and {known - len(found)} earlier ones: --limit {known} shows all")
