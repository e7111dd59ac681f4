"""The quick tier keeps a path for each promise; records and summaries of runs say what happened in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.promises.paths import PATHS
from tests.tiers.durations import durations
from tests.tiers.flicker import run_of, summary
from tests.tiers.order import longest_first, recorded
from tests.tiers.record import Record, records

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def quick(request: pytest.FixtureRequest) -> set[str]:
    """The ids of what `make test` runs, of the files that a path names."""
    files = sorted({path.partition("::")[0] for paths in PATHS.values() for path in paths})
    here = {item.nodeid for item in request.session.items if item.get_closest_marker("full") is None}
    if {test.partition("::")[0] for test in here} >= set(files):
        return here  # the run that this is part of has found them all; to find them once more takes ten seconds
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not full", *files]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    return set(listed.stdout.splitlines())


@pytest.mark.parametrize("promise", PATHS)
def test_the_quick_tier_has_the_paths_of_each_promise(promise: str, quick: set[str]) -> None:
    missing = [path for path in PATHS[promise] if path not in quick]
    assert not missing, f"{promise}: not there, or in the full tier; name the path that shows it now"


def test_each_promise_goes_through_both_stories() -> None:
    assert list(PATHS) == sorted(PATHS, key=lambda promise: int(promise.split()[0][1:]))
    for promise, paths in PATHS.items():
        for place in ("[local]", "[hopsworks]"):
            assert any("tests/promises/" in path and path.endswith(place) for path in paths), promise


JUNIT = """<?xml version="1.0"?><testsuites><testsuite name="pytest" tests="4">
<testcase classname="tests.unit.test_a" name="test_one[x-1]" time="0.5"/>
<testcase classname="tests.unit.test_a.TestA" name="test_two" time="1.25"><failure message="no">E</failure></testcase>
<testcase classname="tests.integration.registry.test_b" name="test_three" time="0.1"><skipped message="s"/></testcase>
<testcase classname="tests.unit.test_a" name="test_four" time="3"><error message="in its fixture">E</error></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def found(tmp_path: Path) -> list[Record]:
    (tmp_path / "junit.xml").write_text(JUNIT)
    return records(tmp_path / "junit.xml")


def test_a_record_has_the_ids_ends_and_seconds_of_its_tests(found: list[Record]) -> None:
    assert [(record.id, record.outcome, record.seconds) for record in found] == [
        ("tests/unit/test_a.py::test_one[x-1]", "passed", 0.5),
        ("tests/unit/test_a.py::TestA::test_two", "failed", 1.25),
        ("tests/integration/registry/test_b.py::test_three", "skipped", 0.1),
        ("tests/unit/test_a.py::test_four", "failed", 3.0),
    ]


def test_durations_are_told_by_file_and_of_the_slowest_with_what_was_left_out(found: list[Record]) -> None:
    assert durations(found) == {
        "tests": 4,
        "seconds": 5,
        "skipped": ["tests/integration/registry/test_b.py::test_three"],
        "files": {
            "tests/unit/test_a.py": {"seconds": 4.8, "tests": 3},
            "tests/integration/registry/test_b.py": {"seconds": 0.1, "tests": 1},
        },
        "slowest": {
            "tests/unit/test_a.py::test_four": 3.0,
            "tests/unit/test_a.py::TestA::test_two": 1.2,
            "tests/unit/test_a.py::test_one[x-1]": 0.5,
            "tests/integration/registry/test_b.py::test_three": 0.1,
        },
    }


def test_what_failed_in_some_runs_is_named_with_them_and_a_run_that_broke_off_is_not_green(
    found: list[Record],
) -> None:
    well = [record for record in found if record.outcome != "failed"]
    runs = [run_of(1, False, 0, 80.4, well), run_of(2, True, 1, 90, found), run_of(3, True, 143, 5, [])]
    assert [run.green for run in runs] == [True, False, False]
    assert summary(runs).splitlines() == [
        "run 1 (calm): green, 1 passed, 1 skipped in 80 s",
        "run 2 (loaded): exit code 1, 2 failed, 1 passed, 1 skipped in 90 s",
        "run 3 (loaded): exit code 143, 0 failed, 0 passed, 0 skipped in 5 s",
        "failed in runs [2] of 3: tests/unit/test_a.py::TestA::test_two",
        "failed in runs [2] of 3: tests/unit/test_a.py::test_four",
    ]


def test_the_longest_files_are_begun_first_and_so_are_new_stories() -> None:
    files = ["browser/a", "contract/new", "crash/long", "loop/new_story", "models/longest", "unit/b", "unit/new"]
    seconds = {"browser/a": 2.0, "crash/long": 90.0, "models/longest": 200.5, "unit/b": 0.1, "gone": 300.0}
    ordered = longest_first(files, seconds, full={"loop/new_story", "unit/b"})
    assert ordered[:5] == ["loop/new_story", "models/longest", "crash/long", "browser/a", "unit/b"]
    assert ordered[5:] == ["contract/new", "unit/new"]


def test_there_is_a_record_to_order_by() -> None:
    assert max(recorded().values()) > 1
