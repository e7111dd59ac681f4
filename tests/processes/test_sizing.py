"""docs/sizing.md is what was measured, and its rule is the one that the page tells."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.sizing.page import estimated, figures, tables
from benchmarks.sizing.sizes import SIZES, STEPS

MACHINE = {"cpu": "a processor", "cores": 2, "memory_gib": 23.5, "date": "2026-11-29"}


def rows(users: int, note: str = "") -> list[dict[str, Any]]:
    """What a size would give where all but the pairs grow by as much with each user, and the pairs by the square."""
    pair = 8.0 * (users / 100_000) ** 2
    found = {"": 5 + users / 10_000 + pair, ".first.pair": pair, ".first.fit": users / 10_000, ".cycle": 4.0}
    found |= {".trainer": 800 + users / 100, ".consumer": 95.0, ".together": 900 + users / 100, ".events": 150_000.0}
    found |= {".space": users / 400, ".version": 4.5, ".ledger": 1 + users / 5_000}
    return [
        {"name": f"sizing.{users}{name}", "ours": ours, "note": note, "machine": MACHINE}
        for name, ours in found.items()
    ]


def measured(*sizes: int) -> dict[str, Any]:
    others = [{"name": "ingest.vs_quix", "ours": 1.0, "note": ""}, {"name": "sizing.7", "ours": None, "note": ""}]
    return {"rows": [*others, *(row for size in sizes for row in rows(size))]}


def test_each_kind_of_machine_has_its_own_tables() -> None:
    told = tables({"AMD": measured(2_000, 10_000), "Intel": measured(2_000), "Arm": measured()})
    amd, intel = told.split("On **Intel**:")
    assert amd.startswith("On **AMD**:")
    assert "| 10,000 |" in amd
    assert "| 10,000 |" not in intel
    assert "| 2,000 | 5.2 s | 4.0 s | 820 MiB |" in intel
    assert "Arm" not in told


def test_only_sizes_that_were_measured_are_told() -> None:
    assert list(figures(measured(10_000, 2_000))) == [2_000, 10_000]
    told = tables({"AMD": measured(2_000)})
    assert "| 2,000 | 5.2 s | 4.0 s | 820 MiB |" in told
    assert "by the rule" not in told


def test_a_machine_that_was_shared_is_said() -> None:
    results = {"rows": [*rows(2_000), *rows(10_000, "the machine was busy: load 19 on 2 cores")]}
    assert "Beside other work, so slower than alone: 10,000 users." in tables({"AMD": results})
    assert "Beside" not in tables({"AMD": measured(2_000, 10_000)})


def test_the_rule_finds_a_line_and_a_square_again() -> None:
    told = estimated(figures(measured(2_000, 10_000, 30_000)), 100_000)
    exact = figures(measured(100_000))[100_000]
    for name in ("first", "cycle", "trainer", "consumer", "together", "space", "version", "ledger"):
        assert told[name] == pytest.approx(exact[name]), name


def test_growth_is_told_as_a_power() -> None:
    told = tables(measured(10_000, 30_000, 100_000)).splitlines()
    assert "| first cycle: pair | too short to tell | 2.0 |" in told  # 0.08 s at 10,000 users
    assert "| first cycle: fit | 1.0 | 1.0 |" in told
    assert "| cycle of 1 % | 0.0 | 0.0 |" in told
    assert sum(line.startswith("| by the rule") for line in told) == 1


def test_every_size_and_step_has_a_row_to_give() -> None:
    from benchmarks.cases import CASES

    assert [name for case in CASES for name in case.targets if name.startswith("sizing.")] == [
        f"sizing.{size}" for size in SIZES
    ]
    assert "pair" in STEPS


@pytest.mark.full
def test_a_quick_run_measures_a_service(capfd: pytest.CaptureFixture[str], kafka_can_run: None) -> None:
    from benchmarks.__main__ import main as bench

    assert bench(["--quick", "--only", "sizing.2000"]) == 0
    told = capfd.readouterr().out
    assert all(f".{name}" in told for name in ("cycle", "trainer", "consumer", "space", "ledger", "events"))
    assert "not measured" not in told
