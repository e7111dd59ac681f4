"""Measure Retrainer against what a user has today, print a table, and write benchmarks/results.json.

    python -m benchmarks [--only PREFIX] [--quick] [--results FILE] [--lastfm LOG]
    python -m benchmarks --recorded     # measure nothing: of each row on record, the worst kind of machine

Exit codes: 0 everything was measured, or what is missing is named as absent; 1 a benchmark failed; 2 wrong usage. A
target that is not met is marked in the table and changes no exit code.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from benchmarks.cases import CASES, Case, chosen
from benchmarks.machine import machine
from benchmarks.records.store import merge, read, worst, write
from benchmarks.rows import NO_TARGET, Row
from benchmarks.runner import Outcome, run_all
from benchmarks.table import notes, table

_HERE = Path(__file__).parent
RESULTS = _HERE / "results.json"
_WIDTH = 120  # where there is no terminal to ask
_LASTFM = _HERE.parent.parent / "shared" / "data" / "lastfm" / "user_artists.dat"


def main(arguments: list[str] | None = None, cases: tuple[Case, ...] = CASES) -> int:
    """Run what is asked for and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Retrainer beside its peers.")
    parser.add_argument("--only", metavar="PREFIX", default="", help="only rows whose name begins so, such as pairs.")
    parser.add_argument("--keep", action="store_true", help=f"put the rows of a part into {RESULTS.name}, too")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, measures nothing")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help=f"instead of {RESULTS.name}, for a part or --quick"
    )
    parser.add_argument("--lastfm", type=Path, metavar="LOG", help="listening log of real users")
    parser.add_argument("--recorded", action="store_true", help="measure nothing; show the worst of all machines")
    asked = parser.parse_args(arguments)
    if not (wanted := chosen(cases, asked.only)):
        parser.error(f"no row begins with {asked.only!r}; there are {', '.join(n for c in cases for n in c.targets)}")
    lastfm = asked.lastfm or (_LASTFM if _LASTFM.exists() else None)
    if lastfm is not None and not lastfm.is_file():
        parser.error(f"there is no listening log {lastfm}")

    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    if asked.recorded:
        return _recorded(console)
    if lastfm is None:
        console.print(
            "[bold red]no listening log of real users at hand:[/] what needs it is not measured (--lastfm LOG)"
        )
    start = time.monotonic()
    rows: list[Row] = []
    failed, kept = False, asked.keep and asked.only and not asked.quick
    console.print(f"measuring {wanted[0].name} ...")
    for at, outcome in enumerate(run_all(wanted, quick=asked.quick, lastfm=lastfm), start=1):
        _tell(console, outcome)
        rows += outcome.rows
        failed |= outcome.failed
        if kept:
            merge(RESULTS, machine(), outcome.rows)  # at once: the others may take long, or be cut off
        if at < len(wanted):
            console.print(f"measuring {wanted[at].name} ...")
    for line in notes(rows):
        console.print(escape(line), style="dim", soft_wrap=True)
    console.print(table(rows))
    wanted_rows = [row for row in rows if row.target != NO_TARGET or not row.measured]
    met = sum(row.met for row in wanted_rows)
    console.print(f"{met} of {len(wanted_rows)} targets met, in {(time.monotonic() - start) / 60:.1f} minutes")
    # A part or a quick run is not the result of `make bench`.
    path = asked.results or (None if asked.quick or asked.only else RESULTS)
    if kept:
        console.print(f"put into {RESULTS.name}")
    if path is not None:
        write(path, machine(), rows)
        console.print(f"written to {path.name}")
    return 1 if failed else 0


def _recorded(console: Console) -> int:
    """Show what is on record, each row of the kind of machine where it is worst."""
    kinds = read(RESULTS)
    found = worst(kinds)
    console.print(table([row for _, row in found.values()], {name: kind for name, (kind, _) in found.items()}))
    console.print(f"on record: {'; '.join(kinds)}")
    return 0


def _tell(console: Console, outcome: Outcome) -> None:
    if outcome.printed.strip():
        console.print(escape(outcome.printed.rstrip()), style="red" if outcome.failed else "dim", soft_wrap=True)
    mark = "[bold red]FAILED[/]" if outcome.failed else "done"
    console.print(f"  {mark} after {outcome.seconds:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
