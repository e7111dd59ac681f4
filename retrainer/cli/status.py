"""`retrainer status`: how the service is, what is pending, what runs."""

from __future__ import annotations

import sys
import time
from contextlib import closing, suppress
from typing import Annotated, Any

import typer
from sqlalchemy.exc import DBAPIError

from consumer.clock import Clock
from consumer.errors import LedgerError, NoLedger, OldLedger
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.listener.ledger_backoff import in_short
from consumer.operating.overview import overview, without_ledger
from consumer.settings import Settings, load_settings
from consumer.status import read_status
from retrainer.cli.output import console, facts, say, say_json
from retrainer.cli.status_check import problems
from retrainer.cli.status_rows import rows, rows_without_ledger

_EVERY = 2.0


def status(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only what somebody has to look at; exit code 1 where there is anything.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until stopped.")] = False,
) -> None:
    """Show the state of the service, its lag, what is pending, running cycle, champion, and what somebody has to do.

    --check is for cron: it says nothing and exits with 0 where all is well. Dead letters, gaps, a cycle that is held or
    fails, a service that does not run and a ledger that does not answer are told in a line each.
    """
    settings = load_settings()
    if check:
        raise typer.Exit(_checked(settings, as_json=as_json))
    if not watch:
        _once(settings, as_json=as_json)
        return
    with suppress(KeyboardInterrupt):
        while True:
            if sys.stdout.isatty() and not as_json:
                console().clear()
            _once(settings, as_json=as_json)
            time.sleep(_EVERY)


def _once(settings: Settings, *, as_json: bool) -> None:
    try:
        with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
            found = _found(settings, ledger)
    except (NoLedger, OldLedger):
        raise
    except (LedgerError, DBAPIError) as error:
        if (left := without_ledger(settings, Clock(), read_status(settings.status_file))) is not None:
            _show(left, rows_without_ledger(left), as_json=as_json)
        raise error if isinstance(error, LedgerError) else LedgerError(f"the ledger: {in_short(error)}") from error
    _show(found, rows(found), as_json=as_json)


def _checked(settings: Settings, *, as_json: bool) -> int:
    """Say what somebody has to look at; gives the exit code."""
    try:
        with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
            wrong = problems(_found(settings, ledger))
    except LedgerError as error:
        wrong = [str(error)]
    except DBAPIError as error:
        wrong = [f"the ledger cannot be used: {in_short(error)}"]
    if as_json:
        say_json({"problems": wrong})
    else:
        for line in wrong:
            say(line)
    return 1 if wrong else 0


def _show(found: dict[str, Any], lines: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        say_json(found)
    else:
        facts(lines)


def _found(settings: Settings, ledger: Ledger) -> dict[str, Any]:
    service = read_status(settings.status_file)  # before the ledger, which is the newer one then
    return overview(settings, ledger, Clock(), service)
