"""`make gate-study`: how often the gate errs, into benchmarks/gate_study/results.json and the pictures of docs/gate.md.

python -m benchmarks.gate_study [--only simulation,spoiled,chains,drifting] [--quick]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gate_study.drifting import follow
from benchmarks.gate_study.simulation import simulate
from benchmarks.gate_study.spoiled import chain, spoil
from benchmarks.machine import machine
from benchmarks.worlds import WORLDS

RESULTS = Path(__file__).parent / "results.json"
_COLUMNS = {
    "simulation": ("users", "harm", "rule", "passed", "noted", "inconclusive", "rejected"),
    "spoiled": (
        "spoil",
        "harmful",
        "precision",
        "recall_at_10",
        "two point estimates",
        "the first release",
        "the gate",
    ),
    "chains": ("chain", "baseline", "passed", "precision", "recall_at_10", "stopped"),
    "drifting": ("world", "wave", "outcomes", "accuracy", "precision", "recall_at_10", "asked", "held"),
}


def main() -> None:
    """Run the parts that are wanted, show each, and keep what they came to."""
    parser = argparse.ArgumentParser(description="How often the gate errs.")
    parser.add_argument("--only", default=",".join(_COLUMNS), help="parts, with commas")
    parser.add_argument("--worlds", default=",".join(WORLDS), help="drifting worlds, with commas")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that it works, and keeps nothing")
    asked = parser.parse_args()
    quick, console = asked.quick, Console(width=150)
    parts: dict[str, Callable[[Path], list[dict[str, Any]]]] = {
        "simulation": lambda _folder: simulate(5 if quick else 400),
        "spoiled": lambda folder: spoil(folder, 400 if quick else 3000),
        "chains": lambda folder: chain(folder, 400 if quick else 3000),
        "drifting": lambda folder: [
            row
            for name in asked.worlds.split(",")
            for row in follow(name, folder / name, 400 if quick else 2000, 2 if quick else 10, console.print)
        ],
    }
    for name in asked.only.split(","):
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            rows = parts[name](Path(folder))
        seconds = round(time.monotonic() - start)
        console.print(_table(f"{name}, {seconds} s", _COLUMNS[name], rows))
        kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        if name == "drifting":  # worlds that were not asked for keep what they came to
            others = kept.get(name, {}).get("rows", [])
            rows = [*(row for row in others if row["world"] not in asked.worlds.split(",")), *rows]
        kept[name] = {"machine": machine(), "seconds": seconds, "rows": rows}
        if not quick:
            RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def _table(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, box=None, title_justify="left")
    for name in columns:
        table.add_column(name)
    for row in rows:
        table.add_row(*(_shown(row.get(name)) for name in columns))
    return table


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:+.4f}" if abs(value) < 1 else f"{value:.2f}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


if __name__ == "__main__":
    main()
