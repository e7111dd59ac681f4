"""`retrainer config`: the settings that count, and where each comes from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from consumer.configuration.effective import Effective, Source, effective, section_of
from consumer.configuration.environment import CONFIG_VARIABLE, config_file
from consumer.configuration.names import known_of
from consumer.configuration.writing import at_home
from consumer.settings import Settings, load_settings
from retrainer.cli.output import listing, say, say_json


def config(
    sections: Annotated[
        list[str] | None, typer.Argument(help="Only these sections, as in `kafka trigger`.", metavar="[SECTION]...")
    ] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only what is not left at its default.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List every setting with the value that counts and where the value comes from. Secrets are masked.

    A running service has the settings of its start: what is changed counts from the next start.
    """
    found = _found(sections or [], changed=changed)
    if as_json:
        say_json([{"setting": one.name, "value": one.value, "source": one.source.value} for one in found])
        return
    if found:
        listing(("setting", "from", "value"), ((one.name, one.source.value, one.written) for one in found))
    else:
        say("every setting is left at its default")
    if path := os.environ.get(CONFIG_VARIABLE):
        say(f"TOML file: {path}")
    say("changes count from the next start of `retrainer run`; none counts while it runs")


def _found(sections: list[str], *, changed: bool) -> list[Effective]:
    named = config_file(os.environ)
    path: Path | None = None if named is None else at_home(CONFIG_VARIABLE, named)
    found = list(effective(load_settings(path), known_of(Settings), os.environ, path))
    there = {section_of(one.name) for one in found}
    for section in sections:
        if section.lower() not in there:
            raise typer.BadParameter(
                f"there is no section '{section}' in use; there are {', '.join(sorted(there - {''}))}"
            )
    wanted = {section.lower() for section in sections} or there
    return [one for one in found if section_of(one.name) in wanted and not (changed and one.source is Source.DEFAULT)]
