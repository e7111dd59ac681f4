"""Running the benchmarks, one after another, each in a fresh process; every row is there at the end, come what may."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cases import Case
from benchmarks.rows import Row, not_measured

LONGEST_SECONDS = 900
_CHECKOUT = Path(__file__).parent.parent
_ERROR_LINES = 15


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one benchmark."""

    case: Case
    rows: list[Row]
    seconds: float
    failed: bool
    """It crashed, found results that differ, or took too long; what is merely absent is no failure."""
    printed: str


def run_all(
    cases: Iterable[Case], *, quick: bool, lastfm: Path | None, longest: float = LONGEST_SECONDS
) -> Iterator[Outcome]:
    """The outcome of each of `cases` as soon as it is there."""
    for case in cases:
        yield _run(case, quick, lastfm, longest)


def _run(case: Case, quick: bool, lastfm: Path | None, longest: float) -> Outcome:
    options = ["--quick"] if quick else []
    options += ["--lastfm", str(lastfm.resolve())] if lastfm is not None else []
    start = time.monotonic()

    def ended(rows: list[Row], printed: str, *, failed: bool = False) -> Outcome:
        return Outcome(case, rows, time.monotonic() - start, failed, printed)

    def none(why: str) -> list[Row]:
        return [not_measured(name, target, why) for name, target in case.targets.items()]

    with TemporaryDirectory(prefix="retrainer-bench-") as folder:
        path = Path(folder) / "outcome.json"
        command = [sys.executable, "-m", "benchmarks.child", case.function, str(path), *options]
        longest *= case.longer
        try:
            ran = subprocess.run(
                command, cwd=_CHECKOUT, capture_output=True, text=True, errors="replace", timeout=longest, check=False
            )
        except subprocess.TimeoutExpired:
            return ended(none(f"not done after {longest:,.0f} s"), "", failed=True)
        if ran.returncode != 0 or not path.exists():
            lines = ran.stderr.strip().splitlines() or [f"ended with {ran.returncode}"]
            printed = ran.stdout + "\n".join(lines[-_ERROR_LINES:])
            return ended(none(lines[-1].replace(f"{_CHECKOUT}/", "")), printed, failed=True)
        outcome = json.loads(path.read_text())
    if "absent" in outcome:
        return ended(none(outcome["absent"]), ran.stdout)
    return ended([Row(**row) for row in outcome["rows"]], ran.stdout)
