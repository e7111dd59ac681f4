"""The record of each kind of machine: no run touches another kind, the worst counts, the pages say what is there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.records import __main__ as command
from benchmarks.records.missed import BEGIN, END, tables
from benchmarks.records.store import badness, kind, merge, read, worst, write
from benchmarks.rows import Row, faster, figure, not_measured, told

AMD = {"cpu": "AMD EPYC (avx2, avx512f, avx512_bf16, avx512_vnni)", "cores": 2}
INTEL = {"cpu": "Intel(R) Xeon(R) Processor (avx2, avx512f)", "cores": 2}
ON_AMD, ON_INTEL = "AMD, bfloat16, 2 cores", "Intel, AVX-512, 2 cores"


@pytest.mark.parametrize(
    ("cpu", "cores", "wanted"),
    [
        (AMD["cpu"], 2, ON_AMD),
        (INTEL["cpu"], 2, ON_INTEL),
        ("Intel(R) Xeon(R) Platinum (avx2, avx512f, amx_bf16)", 16, "Intel, bfloat16, 16 cores"),
        ("AMD EPYC (avx2)", 1, "AMD, AVX2, 1 core"),
        ("Apple M2", 8, "Apple, no wide arithmetic, 8 cores"),
        ("", 8, "unknown, no wide arithmetic, 8 cores"),
    ],
)
def test_a_kind_is_maker_arithmetic_and_cores(cpu: str, cores: int, wanted: str) -> None:
    assert kind({"cpu": cpu, "cores": cores}) == wanted


def test_a_run_replaces_the_record_of_its_own_kind_alone(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write(path, AMD, [faster("a", 1.0, "p", 2.0, least=2), not_measured("b", "t", "why")])
    before = read(path)[ON_AMD]
    assert before["machine"] == AMD
    assert before["rows"][0].keys() == {
        "name", "ours", "peer", "peer_value", "unit", "ratio", "target", "met", "note",
    }  # fmt: skip
    assert (before["rows"][1]["ours"], before["rows"][1]["met"]) == (None, False)
    write(path, INTEL, [faster("a", 1.0, "p", 9.0, least=2)])
    assert read(path)[ON_AMD] == before
    write(path, AMD | {"memory_gib": 7.0}, [faster("c", 1.0, "p", 2.0, least=2)])
    assert [row["name"] for row in read(path)[ON_AMD]["rows"]] == ["c"]
    assert [row["ratio"] for row in read(path)[ON_INTEL]["rows"]] == [9.0]


def test_a_part_goes_into_the_record_of_its_kind_with_its_own_machine_and_leaves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write(path, AMD, [faster("a", 1.0, "p", 2.0, least=2), faster("b", 1.0, "p", 2.0, least=2)])
    before = json.loads(path.read_text())["kinds"][ON_AMD]
    later = AMD | {"date": "later"}
    merge(path, later, [faster("b", 1.0, "p", 3.0, least=2), faster("c", 1.0, "p", 2.0, least=2)])
    merge(path, INTEL, [faster("b", 1.0, "p", 4.0, least=2)])
    found = read(path)[ON_AMD]
    assert found["machine"] == AMD
    assert [row["name"] for row in found["rows"]] == ["a", "b", "c"]
    assert found["rows"][0] == before["rows"][0]
    assert [row.get("machine") for row in found["rows"]] == [None, later, later]
    assert found["rows"][1]["ratio"] == 3.0
    assert [(row["name"], row["ratio"]) for row in read(path)[ON_INTEL]["rows"]] == [("b", 4.0)]


def test_the_worst_kind_counts_whatever_the_target_is_about(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    never = faster("never", float("inf"), "p", 2.0, least=2)
    pairs = [
        (faster("ratio", 9.0, "p", 18.0, least=1), faster("ratio", 1.0, "p", 1.5, least=1)),
        (figure("least", 0.7, "recall@10", least=0.6), figure("least", 0.65, "recall@10", least=0.6)),
        (figure("most", 0.7, "exponent", most=1.05), figure("most", 1.09, "exponent", most=1.05)),
        (told("seconds", 3.0, "s"), told("seconds", 4.0, "s")),
        (told("rate", 150.0, "/s"), told("rate", 90.0, "/s")),
        (not_measured("absent", "<= 1", "no log"), figure("absent", 0.1, "s", most=1)),
        (faster("never", 1.0, "p", 1.5, least=2), never),
        (figure("both", 0.7, "x", least=0.6, also=("y", False)), figure("both", 0.65, "x", least=0.6)),
    ]
    write(path, AMD, [one for one, _ in pairs])
    write(path, INTEL, [other for _, other in pairs])
    found = worst(read(path))
    assert {name: where for name, (where, _) in found.items()} == {one.name: ON_INTEL for one, _ in pairs} | {
        "both": ON_AMD
    }
    assert found["ratio"][1] == pairs[0][1]


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_the_lower_ratio_is_the_worse_row(one: float, other: float) -> None:
    rows: list[Row] = [faster("a", 1.0, "p", ratio, least=2) for ratio in (one, other)]
    assert (badness(rows[0]) > badness(rows[1])) == (one < other)


def test_the_table_of_missed_targets_has_every_kind() -> None:
    def record(*rows: Row) -> dict[str, Any]:
        return {"machine": {}, "rows": [row.as_dict() for row in rows]}

    shown = tables(
        {
            "AMD": record(
                faster("a", 1.0, "p", 1.23, least=1.2), faster("b", 1.0, "p", 3.0, least=2), told("c", 1.0, "s")
            ),
            "Intel": record(faster("a", 1.0, "p", 0.5612, least=1.2), not_measured("d", "<= 1", "it crashed")),
        }
    ).splitlines()
    assert shown[0] == "| row | target | AMD | Intel |"
    assert shown[2:] == [
        "| `a` | ratio >= 1.2 | 1.23 | **0.561** |",
        "| `d` | <= 1 | not measured | not measured |",
    ]


def test_the_pages_are_what_was_measured() -> None:
    assert command.main(["--check"]) == 0


def test_a_page_that_is_not_current_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "learning.md"
    stale.write_text(f"before {BEGIN}\nold\n{END} after")
    monkeypatch.setattr(command, "PAGES", {stale: (BEGIN, END, tables)})
    assert command.main(["--check"]) == 1
    assert "docs/learning.md is not current" in capsys.readouterr().err
    assert "old" in stale.read_text()
    assert command.main([]) == 0
    assert command.main(["--check"]) == 0
    assert "old" not in stale.read_text()
    with pytest.raises(ValueError, match="needs the lines"):
        command.between("no marks", BEGIN, END, "")
