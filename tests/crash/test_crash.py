"""The crash matrix in short: twenty kills of the twenty thousand that could be, and nothing is lost or there twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from schemas.cycle import CycleKind
from schemas.fault_points import MARK_VARIABLE, POINT_VARIABLE, Point
from tests.crash import results
from tests.crash.harness import Run
from tests.crash.plan import VICTIMS, Blow, Plan
from tests.crash.tally import Kill, Tally

ROOT = Path(__file__).parents[2]

# What takes longest is the start of a trainer: where one dies alone, its consumer dies soon after it.
FIRST_VERSION = (
    Blow("consumer", Point.PLACING),
    Blow("consumer", Point.STORING),
    Blow("both", Point.CLAIMED),
    Blow("trainer", Point.REGISTER_RENAMED, then=0.3),
    Blow("consumer", Point.SETTLING),
    Blow("consumer", Point.SETTLED),
)
FOLLOWING = (
    Blow("trainer", Point.EMBED_DIRTY, then=0.3, follows=True),
    Blow("both", Point.LABELS_UNCOMMITTED, follows=True),
    Blow("both", Point.PAIR_STORED, follows=True),
    Blow("trainer", Point.ANSWERED, then=0.0),
)
FULL_RETRAIN = (
    Blow("consumer", Point.STORED, times=2),
    Blow("both", Point.REGISTER_COPIED),
    Blow("trainer", after=3.0, then=0.5),
    Blow("both", after=1.5),
    Blow("consumer", Point.COMMITTED),
    Blow("both", Point.POLLED),
)


@pytest.mark.full
def test_twenty_kills_lose_nothing_and_duplicate_nothing(tmp_path: Path, kafka_address: str) -> None:
    with Run(tmp_path, kafka_address, seed=3) as run:
        strike(run, FIRST_VERSION)
        strike(run, FOLLOWING)
        run.rest()
        run.ask_full_retrain()
        strike(run, FULL_RETRAIN)
        tally = run.settle()
    assert tally.findings == []
    assert len(tally.kills) == 20
    assert {kill.victim for kill in tally.kills} == set(VICTIMS)
    assert {Point.EMBED_DIRTY, Point.LABELS_UNCOMMITTED, Point.PAIR_STORED} <= tally.fired_following.keys()
    assert len(tally.compared) == 2
    assert all(tally.compared), "a space was compared in which nothing followed"
    assert tally.kinds["full"] == 1
    assert tally.garbage > 0
    assert tally.labels > tally.users


def strike(run: Run, blows: Sequence[Blow]) -> None:
    for blow in blows:
        assert run.strike(blow), f"{blow.point} was not reached"


class Rehearsal(Run):
    """A run in which nothing is started: whoever is struck dies at once, the first ten times in the first cycle."""

    def __init__(self, folder: Path, broker: str) -> None:
        super().__init__(folder, broker, seed=1)
        self.done: list[str] = []

    def strike(self, blow: Blow) -> bool:
        first = len(self.done) < 10 and not blow.follows
        kind = CycleKind.BOOTSTRAP if first else CycleKind.INCREMENTAL
        self.tally.kills.append(Kill("point" if blow.point else "random", blow.victim, blow.point, kind))
        self.done.append("kill")
        return True

    def rest(self) -> None:
        self.done.append("rest")
        self.tally.compared.append(1)

    def ask_full_retrain(self) -> None:
        self.done.append("full")


def test_a_space_is_looked_at_before_it_is_made_anew_and_cycles_follow_in_it_afterwards(
    tmp_path: Path, kafka_address: str
) -> None:
    run = Rehearsal(tmp_path, kafka_address)
    run.kill(Plan(seed=1), results.FULL)
    done = run.done
    assert done.count("full") >= 10
    assert all(done[at - 1] == "rest" for at, what in enumerate(done) if what == "full")
    assert done[-16:] == ["kill"] * 16
    assert results.left_out(run.tally) == []
    run.tally.compared.append(0)
    assert results.left_out(run.tally) == ["a cycle that follows in the space that was compared last"]


def test_kills_are_told_apart(tmp_path: Path) -> None:
    tally = Tally(
        kills=[
            Kill("point", "both", Point.EMBED_DIRTY, CycleKind.INCREMENTAL),
            Kill("point", "trainer", Point.EMBED_DIRTY, CycleKind.FULL),
            Kill("after_trainer", "consumer", cycle=CycleKind.FULL),
            Kill("point", "trainer", Point.ANSWERED),  # its consumer has settled already
            Kill("random", "both"),
            Kill("random", "trainer", cycle=CycleKind.INCREMENTAL),
            Kill("point_missed", "consumer"),
        ]
    )
    assert tally.fired == {Point.EMBED_DIRTY: 2, Point.ANSWERED: 1}
    assert tally.fired_following == {Point.EMBED_DIRTY: 1}
    results.write(tally, seed=1, instances=1, path=tmp_path / "results.json")
    kept = json.loads((tmp_path / "results.json").read_text())
    assert kept["kills_by_occasion"] == {"point": 3, "random": 2, "after_trainer": 1, "point_missed": 1}
    assert kept["kills_by_victim"] == {"consumer": 2, "trainer": 3, "both": 2}
    assert kept["trainers_killed_while_waiting"] == 1


def test_results_of_a_short_run_do_not_replace_those_that_are_kept() -> None:
    assert results.path_for(199) == ROOT / "build" / "crash-results.json"
    assert results.path_for(200) == ROOT / "tests" / "crash" / "results.json"


def test_every_point_is_reached_somewhere_in_the_code() -> None:
    """By its name; the points of the trainer's steps by the step's."""
    code = "\n".join(
        path.read_text() for part in ("consumer", "trainer", "stores") for path in (ROOT / part).rglob("*.py")
    )
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
            env={"PYTHONPATH": str(ROOT), **environment},
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
        env={"PYTHONPATH": str(ROOT), POINT_VARIABLE: "consumer.storred"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "'consumer.storred' is not a valid Point" in ended.stderr
