"""docs/cli.md, written from the commands themselves.

python -m retrainer.documents.commands            writes docs/cli.md
python -m retrainer.documents.commands --check    exit code 1 when docs/cli.md is not what the commands are
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo

from retrainer.cli import COMMANDS
from retrainer.documents.page import cell, write_or_check

PARTS = {
    "To begin": ("init", "broker", "import", "demo", "simulate"),
    "To run it": ("run", "doctor", "config", "bridge", "setup-hopsworks"),
    "To look": ("status", "versions", "cycles", "show", "diff", "explain", "report"),
    "To have it learn": ("train", "replay", "replays"),
    "To decide which version answers": ("promote", "rollback", "pin", "unpin", "pause", "resume"),
    "To bring a version elsewhere": ("export", "vectors"),
    "To mend and keep": ("dead-letters", "refused", "prune", "reproduce", "backup", "restore"),
    "To be told": ("notify",),
}
"""Every command, by what somebody wants."""

PAGES = {
    "init": "importing.md#begin",
    "broker": "importing.md#begin",
    "import": "importing.md",
    "demo": "demo.md",
    "simulate": "demo.md",
    "run": "retraining.md",
    "doctor": "doctor.md",
    "config": "settings.md",
    "bridge": "bridge.md",
    "setup-hopsworks": "hopsworks.md",
    "versions": "history.md",
    "cycles": "history.md",
    "show": "history.md",
    "diff": "history.md",
    "explain": "history.md",
    "report": "report.md",
    "train": "retraining.md",
    "replay": "replay.md",
    "replays": "replay.md",
    "promote": "rollback.md",
    "rollback": "rollback.md",
    "pin": "rollback.md",
    "pause": "rollback.md",
    "export": "deployment.md",
    "vectors": "vectors.md",
    "dead-letters": "dead-letters.md",
    "refused": "guard.md",
    "prune": "retention.md",
    "reproduce": "reproduce.md",
    "backup": "backup.md",
    "restore": "backup.md",
    "notify": "notifications.md",
}
"""The page that tells more of a command."""

_HEAD = """# Commands

<!-- Written by `make schemas` from retrainer/cli; do not edit. -->

    retrainer [--version] [--help] COMMAND [OPTIONS]

`retrainer COMMAND --help` says the same as this page on a terminal. A command that is misspelt is answered with the
ones
that look like it. `retrainer --version` names the release. `retrainer --install-completion` has bash, zsh, fish or
PowerShell complete commands, options and their values; `--show-completion` prints what that would install.

[Settings](settings.md) come from the environment or from the TOML file that `RETRAINER_CONFIG` names. No command
takes them
as options, so all commands on a machine speak of the same ledger and the same stores.

"""
_CODES = """## Exit codes

| code | when |
|---|---|
| 0 | done. `train` also exits with 0 when the gate refused the new model, or when there was nothing to learn |
| 1 | failed, and one line on standard error says what and what to do. `train`: the cycle was held or failed.
`doctor`: \
something is not as it has to be. `status --check`: somebody has to look |
| 2 | wrong usage, or wrong settings; nothing was done |

What `--json` prints goes to standard output alone, everything else to standard error. In a pipe every row is one
line. A
reader that leaves early (`| head -1`) changes nothing about the exit code. `train`, `replay`, `import`, `bridge
--once` and
`simulate` fail when nothing goes on for `--timeout` seconds.
"""


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or an option of a command, as its function declares it."""

    name: str
    annotation: Any
    info: ArgumentInfo | OptionInfo
    default: Any
    """`inspect.Parameter.empty` where one has to be given."""

    @property
    def is_argument(self) -> bool:
        """Whether it is given by its place, not by its name."""
        return isinstance(self.info, ArgumentInfo)

    @property
    def kinds(self) -> list[Any]:
        """The types of a value, without None and without the list of those that may come again."""
        inside = (
            [one for one in get_args(self.annotation) if one is not type(None)] if _is_union(self.annotation) else []
        )
        kinds = inside or [self.annotation]
        return [get_args(one)[0] if get_origin(one) is list else one for one in kinds]

    @property
    def repeats(self) -> bool:
        """Whether it may be given several times."""
        inside = get_args(self.annotation) if _is_union(self.annotation) else (self.annotation,)
        return any(get_origin(one) is list for one in inside)


def page() -> str:
    """The whole page.

    Raises:
        ValueError: a command is in no part of the page, or in two.
    """
    listed = [name for names in PARTS.values() for name in names]
    if sorted(listed) != sorted(COMMANDS):
        raise ValueError(f"PARTS does not have each command once: {sorted({*listed} ^ {*COMMANDS}) or 'one is twice'}")
    parts = [_HEAD, *_overview(), _CODES]
    for title, names in PARTS.items():
        parts.append(f"\n## {title}\n")
        for name in names:
            module, attribute = COMMANDS[name].split(":")
            parts += _entries(f"retrainer {name}", getattr(import_module(module), attribute), PAGES.get(name))
    return "".join(parts)


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """Arguments and options of a command that are shown, in the order in which they are declared."""
    hints = get_type_hints(function, include_extras=True)
    found = []
    for name, declared in inspect.signature(function).parameters.items():
        annotation, *extras = get_args(hints[name]) if get_origin(hints[name]) is Annotated else (hints[name],)
        infos = [one for one in extras if isinstance(one, ArgumentInfo | OptionInfo)]
        if infos and not infos[0].hidden:
            found.append(Parameter(name, annotation, infos[0], declared.default))
    return found


def _overview() -> Iterator[str]:
    yield "| to | commands |\n|---|---|\n"
    for title, names in PARTS.items():
        linked = ", ".join(f"[`{name}`](#retrainer-{name})" for name in names)
        yield f"| {title.removeprefix('To ')} | {linked} |\n"
    yield "\n"


def _entries(path: str, command: Any, more: str | None, help_: str | None = None) -> Iterator[str]:
    """A command; of a group all of its commands, too."""
    is_group = isinstance(command, typer.Typer)
    said = command.info.help if is_group else help_ or command.__doc__
    paragraphs = [" ".join(one.split()) for one in re.split(r"\n\s*\n", said.strip())]
    yield f"\n{'#' * (path.count(' ') + 2)} {path}\n\n" + "\n\n".join(paragraphs) + "\n"
    if more is not None:
        yield f"\n[More about it]({more})\n"
    if is_group:
        for one in command.registered_commands:
            yield from _entries(f"{path} {one.name or _spelt(one.callback.__name__)}", one.callback, None, one.help)
        return
    shown = parameters(command)
    arguments, options = ([one for one in shown if one.is_argument is wanted] for wanted in (True, False))
    usage = " ".join([path, *["[OPTIONS]"] * bool(options), *map(_metavar, arguments)])
    yield f"\n    {usage}\n"
    if shown:
        yield "\n| | takes | default | |\n|---|---|---|---|\n"
    for one in (*arguments, *options):
        cells = (f"`{_metavar(one)}`" if one.is_argument else _names(one), _takes(one), _default(one), _meaning(one))
        yield "| " + " | ".join(cell(text) for text in cells) + " |\n"


def _spelt(name: str) -> str:
    return name.strip("_").replace("_", "-")


def _names(option: Parameter) -> str:
    declared = (option.info.default, *(option.info.param_decls or ()))  # the first one lies there beside Annotated
    names = [one for one in declared if isinstance(one, str) and one.startswith("-")] or [f"--{_spelt(option.name)}"]
    return " ".join(f"`{part}`" for one in names for part in one.split("/"))


def _takes(one: Parameter) -> str:
    if one.kinds == [bool]:
        return ""
    said = " or ".join(_kind(kind) for kind in one.kinds)
    if not one.is_argument and one.info.metavar is not None:
        said = f"`{one.info.metavar}`"
    for limit, words in ((one.info.min, "at least"), (one.info.max, "at most")):
        said += f", {words} {limit:g}" if limit is not None else ""
    return said + (", several times" if one.repeats and not one.is_argument else "")


def _kind(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{one.value}`" for one in kind)
    return {int: "whole number", float: "number", Path: "path"}.get(kind, "text")


def _default(one: Parameter) -> str:
    value = one.default
    if value in (inspect.Parameter.empty, ...):
        return "" if one.is_argument else "needed"
    if value is None or value is False or value == []:
        return ""
    return f"`{'yes' if value is True else value.value if isinstance(value, Enum) else value}`"


def _meaning(one: Parameter) -> str:
    return re.sub(r"\s*\[default: ([^]]*)\]", r" (default: \1)", one.info.help or "")


def _metavar(argument: Parameter) -> str:
    """As usage lines write it: in brackets where it may be left out, with dots where it may come again."""
    name = str(argument.info.metavar or argument.name.upper())
    left_out = argument.default not in (inspect.Parameter.empty, ...)
    return (f"[{name}]" if left_out and not name.startswith("[") else name) + ("..." if argument.repeats else "")


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in {Union, UnionType}


def main(arguments: list[str]) -> int:
    """Write the page, or check it; the exit code."""
    return write_or_check("cli.md", page, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
