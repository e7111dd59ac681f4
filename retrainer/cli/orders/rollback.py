"""`retrainer rollback`: back to an earlier champion."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Annotated

import typer

from consumer.ledger.ledger import open_ledger
from consumer.settings import load_settings
from retrainer.cli.orders.common import AsJson, By, InsteadOf, Why, tell_promotion, who, why


def rollback(
    reason: Why,
    version: Annotated[int | None, typer.Argument(help="[default: the champion before the present one]")] = None,
    by: By = None,
    instead_of: InsteadOf = None,
    hold_down: Annotated[
        float | None,
        typer.Option(min=0.0, help="Seconds of the hold-down. [default: as it is set]"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Go back to an earlier champion.

    The versions after it are withdrawn. What they had learned is pending again, as tried, and for the hold-down no
    version that has learned it becomes champion by itself. The services may be running: all of them honour it. Exits
    with 1, and changes nothing, where the champion is not the one that you saw.
    """
    settings = load_settings()
    said, by = why(reason), who(by)
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        seen = instead_of if instead_of is not None else ledger.views.history().champion
        done = ledger.promotions.rollback(
            version,
            instead_of=seen,
            by=by,
            reason=said,
            now=time.time(),
            hold_down=settings.promotion.hold_down if hold_down is None else hold_down,
            remember=settings.ledger.remember,
        )
        tell_promotion(settings, ledger, done, as_json=as_json)
