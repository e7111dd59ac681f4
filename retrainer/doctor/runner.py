"""Runs checks in order, each with a deadline, all within a budget; each check ends in exactly one result."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator

from consumer.errors import ConsumerError
from retrainer.doctor.checks import Check, CheckFailed, Finding, Result, Severity, failed, skipped
from retrainer.doctor.cluster import NEW_KEY
from stores.errors import ClusterUnreachable, StoreError, Unauthorized

_LONGEST = 400  # characters of a finding: one line, on a wide terminal a few

Redact = Callable[[str], str]


class Runner:
    """Runs checks one after the other.

    Args:
        budget: seconds for all checks; checks without time are skipped.
        redact: removes secrets from every text.
    """

    def __init__(self, budget: float, redact: Redact) -> None:
        self._ends = time.monotonic() + budget
        self._redact = redact
        self._severities: dict[str, Severity] = {}
        self._waits_for: dict[str, str] = {}
        self._left: list[threading.Thread] = []

    @property
    def hanging(self) -> bool:
        """Whether an abandoned check still runs. The process then has to end without waiting for it."""
        return any(thread.is_alive() for thread in self._left)

    def run(self, checks: Iterable[Check]) -> Iterator[Result]:
        """The results, each as soon as it is there."""
        for check in checks:
            finding = self._finding(check)
            self._severities[check.name] = finding.severity
            found, todo = self._line(finding.found), finding.todo and self._line(finding.todo)
            yield Result(check.name, finding.severity, found, todo, finding.unused)

    def _finding(self, check: Check) -> Finding:
        lacking = next((name for name in check.needs if self._missing(name)), None)
        if lacking is not None:
            # The first cause is named: a chain of skipped checks that name each other does not help.
            cause = self._waits_for.get(lacking, lacking)
            self._waits_for[check.name] = cause
            return skipped(f"needs {cause}")
        patience = min(check.deadline, self._ends - time.monotonic())
        if patience <= 0:
            return skipped("no time was left; see what took so long above")
        return self._within(check, patience)

    def _missing(self, name: str) -> bool:
        return self._severities.get(name) in {None, Severity.FAILED, Severity.SKIPPED}

    def _within(self, check: Check, patience: float) -> Finding:
        answers: list[Finding] = []
        thread = threading.Thread(target=lambda: answers.append(_look(check)), name=f"doctor-{check.name}", daemon=True)
        thread.start()
        thread.join(patience)
        if answers:
            return answers[0]
        self._left.append(thread)
        return failed(f"no answer within {patience:.0f} s", check.todo or "see whether a firewall or proxy swallows it")

    def _line(self, text: str) -> str:
        line = self._redact(" ".join(text.split()))
        return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def _advice(error: ConsumerError | StoreError) -> str:
    if isinstance(error, Unauthorized):
        return f"the key lacks a scope for this, or its owner a role: {NEW_KEY}"
    if isinstance(error, ClusterUnreachable):
        return "try again; if it stays so, ask whoever runs it, and see whether a firewall is between"
    return "mend what the line above names"


def _look(check: Check) -> Finding:
    try:
        return check.look()
    except CheckFailed as failure:
        return failure.finding
    except (ConsumerError, StoreError) as error:
        return failed(str(error), check.todo or _advice(error))
    except BaseException as error:  # noqa: BLE001  (an error in a check is a finding, too)
        said = f": {error}" if str(error) else ""
        return failed(f"unexpected {type(error).__name__}{said}", check.todo or "report this with the line above")
