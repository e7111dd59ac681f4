"""`retrainer notify`: whom the service tells what, and whether that arrives."""

from __future__ import annotations

import time
from contextlib import closing
from typing import Annotated, Any
from uuid import uuid4

import typer

from consumer.errors import LedgerError
from consumer.ledger.ledger import open_ledger
from consumer.notifications.channels import Sender, senders
from consumer.notifications.followers import wording_of
from consumer.notifications.now import notifications_now
from consumer.sending.ports import NotSent
from consumer.settings import Settings, load_settings
from retrainer.cli.output import facts, say, say_json
from schemas.watching.notifications import Notification

_NONE = (
    "nobody is told anything: set RETRAINER_NOTIFICATIONS__WEBHOOK, or RETRAINER_NOTIFICATIONS__CHAT; see "
    "docs/notifications.md"
)


def notify(
    test: Annotated[bool, typer.Option("--test", help="Send a test message by every channel that is set.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show the channels, what waits for them, and the alerts that people were told of and that are not over.

    With --test a message goes to each channel at once, whether the service runs or not. The exit code is 1 where a
    channel does not take it, and where none is set.
    """
    settings = load_settings()
    if not settings.notifications.wanted:
        say(_NONE, err=True)
        raise typer.Exit(1)
    if test:
        raise typer.Exit(_tested(settings, as_json=as_json))
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        found = notifications_now(settings, ledger)
    assert found is not None
    _show(settings, found, as_json=as_json)


def _tested(settings: Settings, *, as_json: bool) -> int:
    """Send the test message; gives the exit code."""
    message = wording_of(settings, _ledger_id(settings)).test(f"test-{uuid4().hex}", time.time())
    ways = senders(settings.notifications)
    problems = {way.channel.value: _sent(way, message) for way in ways}
    if as_json:
        say_json({"id": message.id, "channels": {name: {"error": problem} for name, problem in problems.items()}})
    else:
        for way in ways:
            say(f"{way.channel.value}: {problems[way.channel.value] or f'{way.shown} took the message'}")
    return 1 if any(problems.values()) else 0


def _sent(way: Sender, message: Notification) -> str | None:
    """Why a channel did not take a message, or not for everybody; None where it did."""
    try:
        return way.send(message)
    except NotSent as error:
        return str(error)


def _ledger_id(settings: Settings) -> str:
    try:
        with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
            return ledger.ledger_id
    except LedgerError:
        return "none yet"


def _show(settings: Settings, found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    rows = {}
    for way in senders(settings.notifications):
        one = found["channels"][way.channel.value]
        trouble = f"; {one['trouble']}" if one["trouble"] else ""
        rows[way.channel.value] = f"{way.shown}, {one['waiting']} waiting{trouble}"
    rows["told of"] = ", ".join(settings.notifications.events) or "nothing"
    for alert in found["alerts"]:
        rows[alert["name"]] = f"since {alert['since'][:16].replace('T', ' ')}: {alert['summary']}"
    facts(rows)
