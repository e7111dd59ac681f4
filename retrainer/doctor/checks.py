"""Checks and their findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How a check ended. Only `failed` makes the doctor's exit code 1."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in one line; where something is wrong, a second line says what to do."""

    severity: Severity
    found: str
    todo: str | None = None
    unused: bool = False
    """Whether the settings do not use the thing; such a finding is for machines only."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    An error of `look` becomes a failure. A `look` that hangs is abandoned after `deadline` seconds.
    """

    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()
    """Checks that have to pass first; a warning is enough."""
    deadline: float = 12.0
    todo: str | None = None
    """What to do where `look` hangs, or raises an error without advice."""


@dataclass(frozen=True, slots=True)
class Result:
    """A finding under the name of its check, as `--json` shows it."""

    name: str
    severity: Severity
    found: str
    todo: str | None = None
    unused: bool = False


class CheckFailed(Exception):  # noqa: N818  (a finding that is raised)
    """Ends a check as failed, from any depth of its work."""

    def __init__(self, found: str, todo: str) -> None:
        super().__init__(found)
        self.finding = Finding(Severity.FAILED, found, todo)


def ok(found: str) -> Finding:
    """All is well."""
    return Finding(Severity.OK, found)


def warning(found: str, todo: str) -> Finding:
    """It works, but a person should know."""
    return Finding(Severity.WARNING, found, todo)


def failed(found: str, todo: str) -> Finding:
    """It does not work."""
    return Finding(Severity.FAILED, found, todo)


def unused(found: str) -> Finding:
    """The settings do not use it."""
    return Finding(Severity.SKIPPED, found, unused=True)


def skipped(found: str) -> Finding:
    """It could not, or did not have to be, looked at."""
    return Finding(Severity.SKIPPED, found)
