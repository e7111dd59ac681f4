"""`retrainer doctor`: is everything as it has to be, and if not, what is to be done."""

from __future__ import annotations

import io
import os
import sys
import warnings
from contextlib import redirect_stdout
from typing import Annotated

import typer

from consumer.logs import configure
from consumer.settings import LogSettings, load_settings
from retrainer.cli.output import console, say_json
from retrainer.doctor.checks import Severity
from retrainer.doctor.examination import Examination
from retrainer.doctor.report import Report, as_json

_FAILED, _WRONG_SETTINGS = 1, 2


def doctor(
    in_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    try_writing: Annotated[
        bool, typer.Option("--try-writing", help="Make a folder in the cluster's model registry, and remove it.")
    ] = False,
) -> None:
    """Check all that the service needs, from the settings to the disk, and say what to do where something is amiss.

    It changes nothing, joins no group, and ends within a minute. Only with --try-writing it makes a folder in the model
    registry of a cluster and removes it, to see that models can be registered. Exit codes: 0 nothing failed, 1
    something did, 2 wrong settings.
    """
    configure(LogSettings(level="error"))
    warnings.simplefilter("ignore")  # of libraries: what they warn of is looked at here
    out = sys.stdout
    report = Report(console(out))
    examination = Examination(load_settings, try_writing=try_writing)
    results = []
    with redirect_stdout(io.StringIO()):  # the SDK prints; we write to the real one
        for result in examination.results():
            results.append(result)
            if not in_json:
                report.line(result)
        if not in_json:
            report.summary(results)
    if in_json:
        say_json(as_json(results), out)
    failed = any(result.severity is Severity.FAILED for result in results)
    _end(_WRONG_SETTINGS if examination.wrong_settings else _FAILED if failed else 0, at_once=examination.hanging)


def _end(code: int, *, at_once: bool) -> None:
    if at_once:
        # A request that hangs would be waited for by the clean-up at the end of the process.
        sys.stdout.flush()
        os._exit(code)
    raise typer.Exit(code)
