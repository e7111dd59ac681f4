"""`make flicker`: the tests again and again, some runs beside a load that takes every core. Do they all come out green?

    python -m tests.tiers.flicker [--runs 5] [--loaded 2] [pytest's arguments]

A summary of what failed, and in which runs, is printed and kept in build/flicker, beside each run's output. Exit code 1
where anything failed, 2 where there is no stress-ng to make the load.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.leftovers import MARK, guarded
from tests.tiers.record import Record, records

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "build" / "flicker"


@dataclass(frozen=True, slots=True)
class Run:
    """What came of one run; `code` is pytest's."""

    number: int
    loaded: bool
    code: int
    seconds: int
    passed: int
    skipped: int
    failed: tuple[str, ...]

    @property
    def green(self) -> bool:
        """Whether every test that ran has passed; a run that broke off is not green."""
        return self.code == 0 and not self.failed

    def __str__(self) -> str:
        how = "loaded" if self.loaded else "calm"
        said = "green" if self.green else f"exit code {self.code}, {len(self.failed)} failed"
        return f"run {self.number} ({how}): {said}, {self.passed} passed, {self.skipped} skipped in {self.seconds} s"


def run_of(number: int, loaded: bool, code: int, seconds: float, found: Sequence[Record]) -> Run:
    """A run, by its record."""
    ended = {kind: [record.id for record in found if record.outcome == kind] for kind in ("passed", "skipped")}
    failed = sorted({record.id for record in found if record.outcome == "failed"})
    return Run(number, loaded, code, round(seconds), len(ended["passed"]), len(ended["skipped"]), tuple(failed))


def summary(runs: Sequence[Run]) -> str:
    """A line for each run, and one for each test that failed in any."""
    where = {test: [run.number for run in runs if test in run.failed] for run in runs for test in run.failed}
    told = [f"failed in runs {numbers} of {len(runs)}: {test}" for test, numbers in sorted(where.items())]
    return "\n".join([*map(str, runs), *told])


@contextmanager
def _load() -> Iterator[None]:
    """As many busy processes as there are cores, while the block runs."""
    with subprocess.Popen(["stress-ng", "--quiet", "--cpu", "0"], stdin=subprocess.DEVNULL) as load:
        try:
            yield
        finally:
            load.terminate()


def _carry_out(number: int, loaded: bool, arguments: Sequence[str]) -> Run:
    junit, output = KEPT / f"run-{number}.xml", KEPT / f"run-{number}.txt"
    ours = {name: value for name, value in os.environ.items() if name not in (MARK, "TMPDIR")}  # it has its own guard
    command = [sys.executable, "-m", "pytest", f"--junitxml={junit}", *arguments]
    began = time.monotonic()
    with output.open("wb") as out, _load() if loaded else nullcontext():
        code = subprocess.run(command, cwd=ROOT, env=ours, stdout=out, stderr=out, check=False).returncode
    return run_of(number, loaded, code, time.monotonic() - began, records(junit) if junit.exists() else [])


def main() -> int:
    """Run them, the calm runs first."""
    parser = argparse.ArgumentParser(prog="make flicker", description=__doc__, allow_abbrev=False)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--loaded", type=int, default=2, help="how many of the runs are beside a load")
    asked, arguments = parser.parse_known_args()
    if asked.loaded and shutil.which("stress-ng") is None:
        print("the loaded runs need stress-ng: install it, or say LOADED=0", file=sys.stderr)
        return 2
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    runs: list[Run] = []
    with guarded():
        for number in range(1, asked.runs + 1):
            runs.append(_carry_out(number, number > asked.runs - asked.loaded, arguments))
            print(runs[-1], flush=True)
            (KEPT / "summary.json").write_text(json.dumps([asdict(run) for run in runs], indent=2) + "\n")
    print(summary(runs))
    return int(not all(run.green for run in runs))


if __name__ == "__main__":
    sys.exit(main())
