"""What a check is and what it finds."""

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
    """What a check found, in one line, and, where something is amiss, what to do about it, in another."""

    severity: Severity
    found: str
    todo: str | None = None
    unused: bool = False
    """Whether the settings do without what it is about; such a one is for machines only."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at.

    `look` may raise: the runner makes a failure of it. It may also hang: after `deadline` seconds it is left to itself.
    """

    name: str
    look: Callable[[], Finding]
    needs: tuple[str, ...] = ()
    """Checks without which this one would only repeat their failure; a warning of theirs does not matter."""
    deadline: float = 12.0
    todo: str | None = None
    """What to do where it hangs, or raises something that does not say."""


@dataclass(frozen=True, slots=True)
class Result:
    """A finding under the name of its check, as `--json` shows it."""

    name: str
    severity: Severity
    found: str
    todo: str | None = None
    unused: bool = False


class CheckFailed(Exception):  # noqa: N818  (a finding, raised where it is met)
    """A check has failed, however deep it is in its work."""

    def __init__(self, found: str, todo: str) -> None:
        super().__init__(found)
        self.finding = Finding(Severity.FAILED, found, todo)


def ok(found: str) -> Finding:
    """Nothing is amiss."""
    return Finding(Severity.OK, found)


def warning(found: str, todo: str) -> Finding:
    """It works, but somebody should know."""
    return Finding(Severity.WARNING, found, todo)


def failed(found: str, todo: str) -> Finding:
    """It does not work."""
    return Finding(Severity.FAILED, found, todo)


def unused(found: str) -> Finding:
    """The settings do without it."""
    return Finding(Severity.SKIPPED, found, unused=True)


def skipped(found: str) -> Finding:
    """It could not, or need not, be looked at."""
    return Finding(Severity.SKIPPED, found)
