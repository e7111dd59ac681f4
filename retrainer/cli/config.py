"""`retrainer config`: the settings that count, where each comes from, and when a change takes effect."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from consumer.configuration.effective import Effective, Source, effective, section_of
from consumer.configuration.environment import CONFIG_VARIABLE, config_file
from consumer.configuration.names import known_of
from consumer.configuration.taking_effect import takes_effect
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
    """List every setting with its value, its source, and when a change of it takes effect. Secrets are masked.

    A running service has the settings of its start, and a restart loses nothing. What changes a service while it runs
    are orders: `retrainer train`, `pause`, `pin`, `promote`, `rollback` and their like.
    """
    found = _found(sections or [], changed=changed)
    if as_json:
        say_json([_record(one) for one in found])
        return
    if found:
        heads = ("setting", "from", "takes effect", "value")
        listing(heads, ((one.name, one.source.value, _effect(one), one.written) for one in found))
    else:
        say("every setting is left at its default")
    if path := os.environ.get(CONFIG_VARIABLE):
        say(f"TOML file: {path}")
    say("a running service keeps the settings of its start; a restart loses nothing, and resumes a cycle under way")
    say("orders take effect while it runs: `retrainer train`, `pause`, `pin`, `promote`, `rollback`")


def _record(one: Effective) -> dict[str, object]:
    return {"setting": one.name, "value": one.value, "source": one.source.value, "takes_effect": _effect(one)}


def _effect(one: Effective) -> str:
    return takes_effect(section_of(one.name)).value


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
