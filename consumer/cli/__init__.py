"""The command line. One module a command, imported when the command is called, so that the service stays small."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from consumer.errors import ConsumerError, SettingsError

COMMANDS = {
    "run": "consumer.cli.run:run",
    "demo": "consumer.cli.demo:demo",
    "train": "consumer.cli.train:train",
    "replay": "consumer.cli.replay:replay",
    "status": "consumer.cli.status:status",
    "versions": "consumer.cli.versions:versions",
    "dead-letters": "consumer.cli.dead_letters:dead_letters",
    "refused": "consumer.cli.refused:refused",
    "simulate": "consumer.cli.simulate:simulate",
    "doctor": "consumer.cli.doctor:doctor",
    "setup-hopsworks": "consumer.cli.setup_hopsworks:setup_hopsworks",
    "bridge": "consumer.cli.bridge:bridge",
}
"""Command by name: the module and what it holds, a function or a group of commands."""

FAILED, WRONG_USAGE = 1, 2


class _OnDemand(TyperGroup):
    """The commands, each imported when somebody asks for it."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        single = _app()
        single.command(cmd_name)(found)
        return typer.main.get_command(single)


def _app(**options: Any) -> typer.Typer:
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown", **options)


app = _app(cls=_OnDemand, no_args_is_help=True)


@app.callback()
def retrainer() -> None:
    """Turns feature-store commits into better versions of a two-tower similarity model.

    Settings come from the environment (RETRAINER_KAFKA__TOPIC, ...) or from the TOML file that RETRAINER_CONFIG names.
    Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
    """


def main() -> None:
    """The console command `retrainer`."""
    try:
        app()
    except SettingsError as error:
        between = "\n" if "\n" in str(error) else " "
        _end(f"wrong settings:{between}{error}", WRONG_USAGE)
    except ConsumerError as error:
        _end(str(error), FAILED)


def _end(message: str, code: int) -> None:
    print(f"retrainer: {message}", file=sys.stderr)
    sys.exit(code)
