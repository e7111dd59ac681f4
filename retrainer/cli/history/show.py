"""`retrainer show`: one cycle or version, with all that is on record."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from consumer.ledger.ledger import open_ledger
from consumer.ledger.past_cycles import find_cycle
from consumer.settings import load_settings
from retrainer.cli.history.manifests import with_settings
from retrainer.cli.history.parts import draw
from retrainer.cli.history.story import story
from retrainer.cli.output import say, say_json
from schemas.watching.traces import trace_id_of

NAME = "A version's number, a cycle's id or its beginning (c000012), champion, or last."


def show(
    name: Annotated[str, typer.Argument(metavar="CYCLE|VERSION", help=NAME, show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show a cycle and the version that it made: events, users, figures, slices, gate, guard, seconds, promotions."""
    settings = load_settings()
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        found = find_cycle(ledger.engine, name)
    found, unknown = with_settings(found, settings)
    if settings.tracing.wanted:
        found = {**found, "trace_id": trace_id_of(found["cycle_id"])}
    if as_json:
        say_json(found)
        return
    draw(story(found))
    if unknown:
        say()
        say(f"settings and packages are not known: {unknown}")
