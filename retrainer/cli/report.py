"""`retrainer report`: the page of a cycle, in a browser or as pictures."""

from __future__ import annotations

import webbrowser
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from consumer.ledger.ledger import open_ledger
from consumer.settings import Settings, load_settings
from retrainer.cli.output import facts, say, say_json
from schemas.decision import decision
from schemas.errors import RetrainerError
from schemas.reports import EVIDENCE_FILE, PAGE_FILE

_NAMED = 5  # cycles that a message names


class NoReport(RetrainerError):  # noqa: N818  (a state, not a fault)
    """There is no report of what was asked for."""


def report(
    cycle: Annotated[
        str | None, typer.Argument(metavar="[CYCLE|VERSION]", help="Which one. [default: the last cycle]")
    ] = None,
    open_it: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    png: Annotated[Path | None, typer.Option(metavar="DIR", help="Write the pictures alone, as PNG, into DIR.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show how a cycle ended and where its report lies: one page of HTML, which is drawn here if it was not yet.

    Reports of the last cycles are kept on the machine that ran them, of refused and held ones, too. A registered
    version also carries its page in the model registry.
    """
    settings = load_settings()
    folder = _folder(settings, cycle)
    # Here, since both need libraries for which other commands should not wait.
    from trainer.evidence.files import read_evidence
    from trainer.report.files import draw_page, write_pictures

    evidence = None if folder is None else read_evidence(folder)
    if folder is None or evidence is None:
        page, told, pictures = _of_registry(settings, cycle, folder, png), {}, []
    else:
        page = folder / PAGE_FILE
        if not page.exists() or page.stat().st_mtime_ns < (folder / EVIDENCE_FILE).stat().st_mtime_ns:
            draw_page(folder)
        pictures = [] if png is None else write_pictures(evidence, png)
        told = {
            "cycle": evidence.cycle_id,
            "outcome": evidence.result.outcome.value,
            "decision": decision(evidence.result),
        }
    if as_json:
        say_json({**told, "page": str(page), "pictures": [str(path) for path in pictures]})
    else:
        facts({**told, "page": str(page), **({"pictures": "\n".join(map(str, pictures))} if pictures else {})})
    if open_it and not webbrowser.open(page.as_uri()):
        say("no browser can be opened here; copy the page, which needs no other file", err=True)


def _folder(settings: Settings, cycle: str | None) -> Path | None:
    """The folder of the cycle's report on this machine; None where none is kept here."""
    reports = settings.reports_dir
    if cycle is not None and cycle.isdecimal():
        with closing(open_ledger(settings.ledger.url, create=False)) as ledger:
            found = ledger.views.cycle_of(int(cycle))
        if found is None:
            raise NoReport(f"there is no version {cycle}; `retrainer versions` lists those there are")
        cycle = found
    if cycle is None:
        from trainer.evidence.files import newest_first

        newest = newest_first(reports)
        if not newest:
            raise NoReport(f"no report is kept in {reports}: no cycle has ended on this machine yet")
        return newest[0]
    folder = reports / cycle
    return folder if folder.parent == reports and (folder / EVIDENCE_FILE).exists() else None


def _of_registry(settings: Settings, cycle: str | None, folder: Path | None, png: Path | None) -> Path:
    """The page that a registered version carries, where this machine has no evidence of its cycle.

    Raises:
        NoReport: there is none either.
    """
    from trainer.evidence.files import newest_first

    kept = [found.name for found in newest_first(settings.reports_dir)[:_NAMED]]
    named = f"; kept are, the newest first: {', '.join(kept)}" if kept else "; none is kept there"
    why = f"there is no report of {cycle} in {settings.reports_dir}{named}"
    if folder is not None:
        why = f"the report in {folder} cannot be read by this release"
    if cycle is None or not cycle.isdecimal() or png is not None:
        raise NoReport(why)
    from stores.registry.opening import open_registry

    page = open_registry(settings.for_trainer()).fetch(int(cycle)) / PAGE_FILE
    if not page.exists():
        raise NoReport(f"{why}; version {cycle} was registered without a page, it has report.md")
    return page
