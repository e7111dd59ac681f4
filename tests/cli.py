"""A command of the command line, for tests that call it in their own process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import typer


def command(function: Callable[..., Any]) -> typer.Typer:
    """The command that a function is."""
    made = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    made.command()(function)
    return made
