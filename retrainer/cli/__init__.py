"""The command line. One module a command, imported when the command is called, so that the service stays small."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from consumer.errors import SettingsError
from retrainer.cli.output import say
from retrainer.cli.streams import OutputError, give_up_output, take_over

COMMANDS = {
    "init": "retrainer.cli.init:init",
    "run": "retrainer.cli.run:run",
    "demo": "retrainer.cli.demo:demo",
    "import": "retrainer.cli.import_:import_",
    "train": "retrainer.cli.train:train",
    "replay": "retrainer.cli.replay:replay",
    "replays": "retrainer.cli.replays:replays",
    "status": "retrainer.cli.status:status",
    "versions": "retrainer.cli.history.versions:versions",
    "prune": "retrainer.cli.prune:prune",
    "cycles": "retrainer.cli.history.cycles:cycles",
    "show": "retrainer.cli.history.show:show",
    "diff": "retrainer.cli.history.diff:diff",
    "explain": "retrainer.cli.history.explain:explain",
    "export": "retrainer.cli.export:export",
    "promote": "retrainer.cli.orders.promote:promote",
    "rollback": "retrainer.cli.orders.rollback:rollback",
    "pin": "retrainer.cli.orders.pin:pin",
    "unpin": "retrainer.cli.orders.pin:unpin",
    "pause": "retrainer.cli.orders.pause:pause",
    "resume": "retrainer.cli.orders.pause:resume",
    "reproduce": "retrainer.cli.reproduce:reproduce",
    "vectors": "retrainer.cli.vectors:vectors",
    "report": "retrainer.cli.report:report",
    "dead-letters": "retrainer.cli.dead_letters:dead_letters",
    "refused": "retrainer.cli.refused:refused",
    "simulate": "retrainer.cli.simulate:simulate",
    "notify": "retrainer.cli.notifications.notify:notify",
    "doctor": "retrainer.cli.doctor:doctor",
    "config": "retrainer.cli.config:config",
    "backup": "retrainer.cli.backup:backup",
    "restore": "retrainer.cli.backup:restore",
    "setup-hopsworks": "retrainer.cli.setup_hopsworks:setup_hopsworks",
    "bridge": "retrainer.cli.bridge:bridge",
    "broker": "retrainer.cli.broker:broker",
}
"""Command by name: the module and what it holds, a function or a group of commands."""

FAILED, WRONG_USAGE = 1, 2

_Usage: Any = typer.BadParameter.__bases__[0]  # of typer's click, which is its own or a package, as its release is
_ClickError: Any = _Usage.__bases__[0]


class _OnDemand(TyperGroup):
    """The commands, each imported when somebody asks for it."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            # Here and not later: typer would look for similar names among commands that are loaded, and none is.
            if not ctx.resilient_parsing:
                raise _Usage(_no_command(cmd_name), ctx)
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        single = _app()
        single.command(cmd_name)(found)
        return typer.main.get_command(single)


def _no_command(name: str) -> str:
    like = get_close_matches(name, COMMANDS, n=3, cutoff=0.6)
    meant = f" (did you mean {' or '.join(like)}?)" if like else f"; there are {', '.join(COMMANDS)}"
    return f"there is no command '{name}'{meant}"


def _app(**options: Any) -> typer.Typer:
    options = {"add_completion": False, **options}
    return typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown", **options)


app = _app(cls=_OnDemand, no_args_is_help=True, add_completion=True)


def _say_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        say(f"retrainer {version('retrainer')}")
    except PackageNotFoundError:
        say("retrainer, of a checkout that is not installed")
    raise typer.Exit


@app.callback()
def retrainer(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Say which release this is.")
    ] = False,
) -> None:
    """Turns feature-store commits into better versions of a two-tower similarity model.

    Settings come from the environment (RETRAINER_KAFKA__TOPIC, ...) or from the TOML file that RETRAINER_CONFIG names.
    Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
    """


def main() -> None:
    """The console command `retrainer`."""
    take_over()
    try:
        sys.exit(_ended())
    except _ClickError as error:
        _end(_in_words(error), error.exit_code)
    except typer.Abort:
        _end("aborted", FAILED)
    except OutputError as error:
        give_up_output()
        _end(str(error), FAILED)
    except SettingsError as error:
        problems = str(error).split("\n")
        if len(problems) == 1:
            _end(f"wrong settings: {error}", WRONG_USAGE)
        for line in ("retrainer: wrong settings:", *problems):
            say(line, err=True)
        sys.exit(WRONG_USAGE)
    except Exception as error:
        if (message := described(error)) is None:
            raise
        _end(message, FAILED)


def _ended() -> int:
    """Run the command that the arguments name, and say how it ended."""
    code = typer.main.get_command(app).main(prog_name="retrainer", standalone_mode=False)
    return code if isinstance(code, int) else 0


def described(error: Exception) -> str | None:
    """An error in words; None where only the trace says what went wrong."""
    # Here, as they are needed only now: a command that ends well need not wait for their imports.
    from kafka.errors import KafkaError
    from sqlalchemy.exc import DBAPIError

    from consumer.listener.ledger_backoff import in_short
    from schemas.errors import RetrainerError

    if isinstance(error, DBAPIError):
        return f"the ledger cannot be used: {in_short(error)}"
    if isinstance(error, KafkaError):
        return f"the brokers refuse: {error}"
    return str(error) if isinstance(error, RetrainerError) else None


def _in_words(error: Any) -> str:
    message = str(error.format_message()).rstrip(".")
    context = error.ctx if isinstance(error, _Usage) else None
    # Without any arguments the help has been shown, and nothing is left to say.
    return f"{message}; see `{context.command_path} --help`" if message and context else message


def _end(message: str, code: int) -> None:
    if message:
        say(f"retrainer: {message}", err=True)
    sys.exit(code)
