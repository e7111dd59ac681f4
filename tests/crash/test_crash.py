"""The crash matrix in short: twenty kills of the twenty thousand that could be, and nothing is lost or there twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.fault_points import MARK_VARIABLE, POINT_VARIABLE, Point
from tests.crash.harness import Run
from tests.crash.plan import Blow

# What takes longest is the start of a trainer: where one dies alone, its consumer dies soon after it.
SHORT = (
    Blow("consumer", Point.PLACING),
    Blow("consumer", Point.STORING),
    Blow("both", Point.CLAIMED),
    Blow("trainer", Point.EMBED_DIRTY, then=0.3),
    Blow("both", Point.PAIR_STORED),
    Blow("consumer", Point.REQUESTED),
    Blow("trainer", Point.REGISTER_RENAMED, then=0.3),
    Blow("consumer", Point.SETTLING),
    Blow("consumer", Point.STORED, times=2),
    Blow("both", Point.REGISTER_COPIED),
    Blow("trainer", Point.ANSWERED, then=0.0),
    Blow("consumer", Point.SETTLED),
    Blow("both", after=1.5),
    Blow("consumer", Point.COMMITTED),
    Blow("trainer", after=3.0, then=0.5),
    Blow("both", Point.PACKAGE_HALF),
)


@pytest.mark.timeout(600)
def test_twenty_kills_lose_nothing_and_duplicate_nothing(tmp_path: Path, kafka_address: str) -> None:
    with Run(tmp_path, kafka_address, seed=3) as run:
        for blow in SHORT:
            assert run.strike(blow), f"{blow.point} was not reached"
        run.settle()
        tally = run.judge()
    assert tally.findings == []
    assert tally.kills.total() == 20
    assert {victim for _, victim in tally.kills} == {"consumer", "trainer", "both"}
    assert tally.versions >= 3
    assert tally.garbage > 0


def test_every_point_is_reached_somewhere_in_the_code() -> None:
    """By its name; the points of the trainer's steps by the step's."""
    root = Path(__file__).parents[2]
    code = "\n".join(path.read_text() for part in ("consumer", "trainer") for path in (root / part).rglob("*.py"))
    steps = {f"trainer.{step}.{when}" for step in _steps() for when in ("before", "after")}
    assert [point.name for point in Point if point not in steps and f"reached(Point.{point.name})" not in code] == []
    assert steps <= {point.value for point in Point}


def _steps() -> list[str]:
    from schemas.cycle import Step

    return [step.value for step in Step]


REACHING = """
from schemas.fault_points import Point, reached
for number in range(3):
    reached(Point.STORED)
    reached(Point.POLLED)
    print(number, flush=True)
"""


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (None, 0, "0 1 2"),
        ("consumer.placed", 0, "0 1 2"),
        ("consumer.stored", -9, ""),
        ("consumer.polled:3", -9, "0 1"),
    ],
)
def test_a_process_dies_at_the_point_that_was_asked_for_and_only_there(
    tmp_path: Path, asked: str | None, code: int, said: str
) -> None:
    mark = tmp_path / "mark"
    environment = {POINT_VARIABLE: asked, MARK_VARIABLE: str(mark)} if asked else {}

    def once() -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-c", REACHING],
            env={"PYTHONPATH": str(Path(__file__).parents[2]), **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, " ".join(ended.stdout.split())

    assert once() == (code, said)
    assert mark.exists() == (code != 0)
    assert once() == (0, "0 1 2")  # the mark is there: nobody dies a second time


def test_a_misspelt_point_does_not_go_unnoticed() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import schemas.fault_points"],
        env={"PYTHONPATH": str(Path(__file__).parents[2]), POINT_VARIABLE: "consumer.storred"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "'consumer.storred' is not a valid Point" in ended.stderr
