"""`retrainer pin` and `unpin`: the champion stays, whatever cycles register."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Annotated

import typer

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings
from retrainer.cli.orders.common import By, MaybeWhy, Why, who, why
from retrainer.cli.output import say


def pin(
    reason: Why,
    version: Annotated[int | None, typer.Argument(help="The champion that you have seen.")] = None,
    by: By = None,
) -> None:
    """Keep the champion: challengers are measured against it and registered, and none becomes champion by itself.

    `retrainer promote` and `rollback` still move it, and the pin goes with them. Exits with 1 where VERSION is not the
    champion.
    """
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        pinned = ledger.orders.pin(version, by=who(by), reason=why(reason), now=time.time())
    say(f"version {pinned} is pinned; `retrainer unpin` lets challengers become champion again")


def unpin(reason: MaybeWhy = "", by: By = None) -> None:
    """Let challengers become champion again. Those that were registered meanwhile wait for `retrainer promote`."""
    with closing(open_ledger(load_settings().ledger.url, create=False)) as ledger:
        stood = ledger.orders.unpin(by=who(by), reason=reason.strip(), now=time.time())
    say(f"version {stood.version} is not pinned any more; it was {stood.in_words}")
