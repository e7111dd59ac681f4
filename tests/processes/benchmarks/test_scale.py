"""docs/scale.md is what was measured, a part is never shown as the whole, and the paper follows the page's rule."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.cases import CASES
from benchmarks.scale.page import figures, tables
from benchmarks.scale.paper import CORES, LONGEST, PRICE, line, plan
from benchmarks.scale.sizes import SIZES, Size, _part
from benchmarks.scale.trainer import PartEngine
from benchmarks.scale.watching import watched

MACHINE = {"cpu": "a processor", "cores": 2, "memory_gib": 23.5, "date": "2026-11-30"}


def rows(users: int, share: float = 1.0, note: str = "calm") -> list[dict[str, Any]]:
    """What a size would give where all but the pairs grow by as much with each user, and the pairs by the square."""
    pair, only = 10.0 * (users / 100_000) ** 2, "only a part; " if share < 1 else ""
    found = {"full.pair": (pair * share, only), "full.fit": (users / 10_000, ""), "full.vectors": (1.0, "")}
    found |= {"full.pair.memory": (500 + users / 10_000, only), "full.pair.share": (share, ""), "full": (99.0, "")}
    found |= {"incremental.pair": (pair / 100, ""), "incremental.gate": (1.0, ""), "space": (users / 400, "")}
    found |= {"incremental.pair.memory": (500.0, "")}
    return [
        {"name": f"scale.{users}.{name}", "ours": ours, "note": f"{why}{note}", "machine": MACHINE}
        for name, (ours, why) in found.items()
    ]


def measured(share: float = 1.0) -> dict[str, Any]:
    return {"rows": [*rows(100_000), *rows(1_000_000, share), {"name": "scale.7.full", "ours": None, "note": ""}]}


def test_the_paper_follows_the_rule_and_a_part_counts_as_a_part() -> None:
    for share in (1.0, 0.05):
        found = figures(measured(share))
        told = plan(found, "full", 10_000_000)
        assert told.pairs == pytest.approx(10.0 * 100**2)
        assert told.rest == pytest.approx(1000.0)
        assert told.workers is None
        assert told.cost == pytest.approx((told.pairs + told.rest) / 3600 * CORES * PRICE)
        some = plan(found, "incremental", 10_000_000)
        assert some.pairs == pytest.approx(1000.0)
        assert some.rest == pytest.approx(1.0)
        assert some.workers == 2
        assert some.cost == pytest.approx(2 * LONGEST / 3600 * CORES * PRICE)
        assert line(found, "space", 10_000_000) == pytest.approx(25_000)


def test_what_was_not_measured_of_the_largest_size_follows_from_the_others() -> None:
    """A part of the lists says nothing of the space, nor of what 1 % of the users take."""
    absent = {"scale.1000000.incremental.pair", "scale.1000000.incremental.pair.memory", "scale.1000000.space"}
    record = {"rows": [row for row in measured(0.05)["rows"] if row["name"] not in absent]}
    found = figures(record)
    assert plan(found, "incremental", 10_000_000).pairs == pytest.approx(1000.0)
    assert line(found, "space", 10_000_000) == pytest.approx(25_000)  # one size: in proportion
    assert "| 1,000,000 users |" in tables({"AMD": record})


def test_a_part_is_marked_and_said() -> None:
    whole, part = tables({"AMD": measured()}), tables({"AMD": measured(0.05)})
    assert "\\*" not in whole
    assert "| pair | 10 s, 510 MiB | 50 s, 600 MiB \\* |" in part
    assert "- \\* scale.1000000.full.pair: only a part" in part
    assert "no number: the rest is too long" in part


def test_a_busy_machine_is_said() -> None:
    assert "Beside other work" not in tables({"AMD": measured()})
    busy = rows(100_000, note="; the machine was busy: load 9 on 2 cores")
    assert "Beside other work, so slower than alone: 100,000 users." in tables({"AMD": {"rows": busy}})
    assert "Nothing has been measured yet" in tables({"AMD": {"rows": []}})


def test_every_size_has_its_rows_and_says_what_it_leaves_out() -> None:
    names = [name for case in CASES for name in case.targets if name.startswith("scale.")]
    assert names == [f"scale.{size.users}.{kind}" for size in SIZES for kind in ("full", "incremental")]
    assert _part(Size(5)) == {}
    assert _part(Size(5, mined=0.05, epochs=3)).keys() == {"pair", "fit"}


def test_a_part_of_the_rows_is_mined_and_no_more() -> None:
    asked: list[Any] = []

    class Engine:
        def nearest(self, *given: Any) -> Any:
            asked.append(given[1])
            return iter(())

        similar = nearest

    part = PartEngine(Engine(), 20)
    list(part.nearest(None, np.arange(100), None, 9, None))
    list(part.similar(None, np.arange(100), None))
    assert [each.tolist() for each in asked] == [[0, 20, 40, 60, 80]] * 2


_STORY = """
import json, sys, time
def tell(step):
    print(json.dumps({"step": step}), flush=True)
tell("small")
time.sleep(1)
tell("large")
much = bytearray(200 * 2**20)
time.sleep(1)
del much
tell("after")
time.sleep(1)
print("no line of JSON", flush=True)
sys.exit(len(sys.stdin.readline()))
"""


def test_memory_is_counted_to_the_step_that_has_it(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("it is read from /proc")
    ended = watched(["-c", _STORY], tmp_path, tmp_path / "errors.txt", "12")
    assert ended.code == 3
    small, large, after = (ended.steps[name] for name in ("small", "large", "after"))
    assert large.anonymous - small.anonymous > 150 * 2**20
    assert large.anonymous - after.anonymous > 150 * 2**20
    assert after.resident < large.resident
    assert min(small.seconds, large.seconds, after.seconds) > 0.1
