"""`retrainer diff`: in what two versions or cycles differ."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from consumer.ledger.ledger import open_ledger
from consumer.ledger.past_cycles import find_cycle
from consumer.settings import load_settings
from retrainer.cli.history.differences import differences, name_of, parts_of
from retrainer.cli.history.manifests import with_settings
from retrainer.cli.history.parts import draw
from retrainer.cli.history.show import NAME
from retrainer.cli.output import say, say_json


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help=NAME, show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help="The other one, named in the same way.")],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show in what two versions or cycles differ, and only that: figures, data, fit, settings, packages."""
    settings = load_settings()
    with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
        found = [find_cycle(ledger.engine, name) for name in (first, second)]
    whole = [with_settings(cycle, settings) for cycle in found]
    both = differences(*(cycle for cycle, _ in whole))
    unknown = [f"{name_of(cycle)}: {why}" for cycle, why in whole if why]
    if as_json:
        say_json({**both, "settings_unknown": unknown})
        return
    parts = list(parts_of(both))
    if all(part.empty for part in parts):
        say(f"{both['a']} and {both['b']} differ in nothing that is on record")
    draw(parts)
    for line in unknown:
        say(f"settings and packages are not compared; {line}")
