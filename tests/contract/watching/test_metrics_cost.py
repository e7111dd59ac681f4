"""A scrape costs little on a ledger that has run for months. Started by itself, on the one that docs/runs.md tells of.

python -m tests.contract.watching.test_metrics_cost      100,000 cycles and 1,000,000 learned users: two minutes
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Table, insert

import schemas
from consumer.database.tables import cycles, learned, promotions, refused_users, versions
from consumer.ledger.ledger import Ledger, open_ledger
from consumer.metrics import collector
from consumer.metrics.collector import Metrics
from consumer.settings import Settings
from consumer.status import Status
from tests.pages_of_metrics import page_of
from tests.waiting import within

_AT_ONCE = 5_000
_EVERY = 300.0
GOLDEN = Path(schemas.__file__).parent / "golden" / "cycle_result.json"


def aged(ledger: Ledger, cycle_count: int, learned_count: int) -> None:
    """A ledger with so many cycles, two of three of which have registered a version, and so many learned users."""
    result, now = json.loads(GOLDEN.read_text()), time.time()
    numbers = range(1, cycle_count + 1)
    made = [number for number in numbers if number % 3]

    def cycle(number: int) -> dict[str, Any]:
        state = "registered" if number % 3 else "rejected"
        told = {**result, "outcome": state, "version": number if number % 3 else None}
        at = now - (cycle_count - number + 1) * _EVERY
        row = {"kind": "incremental", "reason": "enough users changed", "base_version": 1, "attempts": 0}
        row |= {"number": number, "cycle_id": f"c{number}", "state": state, "settled": number % 3 > 0}
        lineage = {"offsets": {"t": {"0": [0, 3]}}, "changed_users": 1}
        return {**row, "lineage": lineage, "claimed_at": at, "ended_at": at + 60, "result": told}

    def change(number: int) -> dict[str, Any]:
        row = {"user_id": f"u{number}", "operation": "upsert", "events": 1, "cycle_id": f"c{number % cycle_count + 1}"}
        row |= {"first_position": "t:0:1", "last_position": "t:0:1"}
        return {**row, "received_at": now - number, "first_event_at": now - number, "last_event_at": now - number}

    def refused(number: int) -> dict[str, Any]:
        row = {"user_id": f"u{number}", "reason": "habit is missing", "times": 1, "cycle_id": "c1"}
        return {**row, "since": now, "last_at": now}

    fill(ledger, cycles, map(cycle, numbers))
    fill(ledger, versions, ({"version": at, "cycle_id": f"c{at}", "registered_at": now - _EVERY} for at in made))
    fill(ledger, promotions, ({"version": at, "at": now - _EVERY, "reason": "better"} for at in made))
    fill(ledger, learned, map(change, range(learned_count)))
    fill(ledger, refused_users, map(refused, range(learned_count // 10)))


def fill(ledger: Ledger, table: Table, rows: Iterator[dict[str, Any]]) -> None:
    with ledger.engine.begin() as connection:
        while portion := list(islice(rows, _AT_ONCE)):
            connection.execute(insert(table), portion)


def watched(ledger: Ledger, folder: Path) -> Metrics:
    now = time.time()
    status = Status(pid=1, state="listening", written_at=now, polled_at=now, lag=0, hold=None, cycle=None)
    return Metrics(Settings(state_dir=folder), ledger, lambda: status)


@pytest.mark.full
def test_a_scrape_is_cheap_after_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector, "_YOUNG", 0.001)
    monkeypatch.setattr(collector, "_PATIENCE", 60.0)
    with closing(open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")) as ledger:
        aged(ledger, 10_000, 100_000)
        metrics = watched(ledger, tmp_path)
        with within(1.0):
            page = page_of(metrics)
        assert page.of("retrainer_cycles_total", kind="incremental", outcome="registered") == 6_667
        assert page.of("retrainer_versions", state="kept") == 6_667
        assert page.of("retrainer_refused", what="users") == 10_000
        with within(2.0):
            for _ in range(20):
                assert page_of(metrics).of("retrainer_ledger_up") == 1


def measure() -> None:
    """Say what a scrape takes on a large ledger."""
    collector._YOUNG = 0.001
    with TemporaryDirectory() as folder, closing(open_ledger(f"sqlite:///{folder}/ledger.db")) as ledger:
        aged(ledger, 100_000, 1_000_000)
        metrics = watched(ledger, Path(folder))
        took = []
        for _ in range(41):
            began = time.perf_counter()
            metrics.page("")
            took.append(1000 * (time.perf_counter() - began))
        print(f"first page {took[0]:.0f} ms, then {median(took[1:]):.1f} ms (median), {max(took[1:]):.1f} ms at most")


if __name__ == "__main__":
    measure()
