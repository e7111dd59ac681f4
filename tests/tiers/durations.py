"""`make durations`: what each file and each slow test took, in tests/tiers/durations.json. No test depends on it.

python -m tests.tiers.durations JUNIT_FILE...
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.machine import machine
from tests.tiers.record import Record, records

RESULTS = Path(__file__).with_name("durations.json")

_SLOWEST = 40


def durations(found: Iterable[Record]) -> dict[str, Any]:
    """Seconds by file and of the slowest tests, the longest first; and what was left out, with the file."""
    found = list(found)
    files: dict[str, list[float]] = {}
    for record in found:
        files.setdefault(record.file, []).append(record.seconds)
    slowest = sorted(found, key=lambda record: record.seconds, reverse=True)[:_SLOWEST]
    return {
        "tests": len(found),
        "seconds": round(sum(record.seconds for record in found)),
        "skipped": sorted(record.id for record in found if record.outcome == "skipped"),
        "files": {
            file: {"seconds": round(sum(taken), 1), "tests": len(taken)}
            for file, taken in sorted(files.items(), key=lambda item: sum(item[1]), reverse=True)
        },
        "slowest": {record.id: round(record.seconds, 1) for record in slowest},
    }


def main() -> None:
    """Keep the record of a run, or of several parts of one, and print where its time went."""
    told = durations(record for junit in sys.argv[1:] for record in records(Path(junit)))
    RESULTS.write_text(json.dumps({"machine": machine(), **told}, indent=2) + "\n")
    for file, taken in list(told["files"].items())[:20]:
        print(f"{taken['seconds']:8.1f} s  {taken['tests']:4} tests  {file}")
    print(f"{told['seconds']:8} s  {told['tests']:4} tests in all, several at a time; see {RESULTS}")


if __name__ == "__main__":
    main()
