"""What all orders have in common: who gives them, why, and what is said of them."""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import suppress
from typing import Annotated

import typer

from consumer.cycles.champion_mirror import mirror_now
from consumer.ledger.ledger import Ledger
from consumer.ledger.promotions import Ordered
from consumer.ledger.records import when
from consumer.operating.records import promotion_record
from consumer.settings import Settings
from retrainer.cli.output import say, say_json

Why = Annotated[str, typer.Option("--reason", help="Why; stays on record.")]
MaybeWhy = Annotated[str, typer.Option("--reason", help="Why; stays on record.")]
By = Annotated[str | None, typer.Option("--by", help="Who orders it. [default: user@host]", show_default=False)]
InsteadOf = Annotated[
    int | None,
    typer.Option(
        help="The champion that you have seen: with another one nothing is changed. [default: the present one]"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


def who(by: str | None) -> str:
    """Who orders something: the name that was given, or user and host.

    Raises:
        BadParameter: the name is empty.
    """
    if by is not None:
        if not by.strip():
            raise typer.BadParameter("--by is empty; say who orders this")
        return by.strip()
    user = str(os.getuid())  # in a container there may be no name
    with suppress(KeyError, OSError):
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"


def why(reason: str) -> str:
    """The reason that was given.

    Raises:
        BadParameter: it is empty.
    """
    if not reason.strip():
        raise typer.BadParameter("--reason is empty; say why")
    return reason.strip()


def tell_promotion(settings: Settings, ledger: Ledger, done: Ordered, *, as_json: bool) -> None:
    """Have the registry show the champion, and say what an order has done."""
    not_shown = mirror_now(settings, ledger)
    if as_json:
        say_json(promotion_record(done, not_shown))
        return
    promotion, moved = done.promotion, done.moved
    before = "" if promotion.previous is None else f" instead of version {promotion.previous}"
    say(f"version {promotion.version} is champion{before}, by {promotion.by}: {promotion.reason}")
    if done.withdrawn:
        say(f"withdrawn: {_versions(done.withdrawn)}; no challenger is measured against them")
    if count := sum(moved.given_back.values()):
        say(f"{_counts(moved.given_back)} that it has not learned {_are(count)} pending again, as tried")
    if count := sum(moved.learned.values()):
        say(f"{_counts(moved.learned)} that it has learned {_are(count)} settled")
    if moved.forgotten:
        say(
            f"the ledger does not know what {moved.forgotten} later cycles have learned: a full retrain is asked for, "
            "which reads everybody"
        )
    if promotion.hold_down_until is not None:
        say(
            f"held down until {when(promotion.hold_down_until)}: what has learned the same again is registered, and "
            "does not become champion by itself; `retrainer promote` ends that"
        )
    if done.running:
        say(f"cycle {done.running} is under way: its version will not become champion by itself")
    if not_shown:
        say(f"the registry does not show it yet: {not_shown}; a running service tries again")


def _counts(of: dict[str, int]) -> str:
    told = [f"{count} {kind if count != 1 else kind.removesuffix('s')}" for kind, count in of.items() if count]
    return " and ".join(told)


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _versions(numbers: tuple[int, ...]) -> str:
    return f"version{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"
