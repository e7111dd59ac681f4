"""`retrainer promote`: a version becomes champion by a person's word."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Annotated

import typer

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings
from retrainer.cli.orders.common import AsJson, By, InsteadOf, Why, tell_promotion, who, why


def promote(
    version: Annotated[int, typer.Argument(help="A registered version, as `retrainer versions` shows it.")],
    reason: Why,
    by: By = None,
    instead_of: InsteadOf = None,
    as_json: AsJson = False,
) -> None:
    """Make a registered version champion, and end a hold-down.

    What the version has learned is settled, and what it has not learned is pending again, as tried. The services may be
    running: all of them honour it from then on. Exits with 1, and changes nothing, where the champion is not the one
    that you saw.
    """
    settings = load_settings()
    said, by = why(reason), who(by)
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        seen = instead_of if instead_of is not None else ledger.views.history().champion
        remember = settings.ledger.remember
        done = ledger.promotions.promote(
            version, instead_of=seen, by=by, reason=said, now=time.time(), remember=remember
        )
        tell_promotion(settings, ledger, done, as_json=as_json)
