"""`retrainer versions`: what was registered, why, and on what."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from consumer.cli.output import say, tell
from consumer.cli.version_rows import list_versions
from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings


def versions(
    as_json: Annotated[bool, typer.Option("--json", help="For machines, with offsets and all figures.")] = False,
) -> None:
    """List the registered versions, oldest first."""
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        found = ledger.views.versions()
    if as_json:
        tell(found)
    elif not found:
        say("no version is registered yet")
    else:
        list_versions(found)
