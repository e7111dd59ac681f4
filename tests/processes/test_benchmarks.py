"""What `make bench` stands on: the data, the comparison of results, the table, and that no row is ever hidden.

`tests/unit/benchmarks/test_records.py` has the record of each kind of machine.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.cases import CASES, Case, chosen
from benchmarks.data import WIDTH, data_sets, dense, generated, isotropic, lastfm, raw_listeners
from benchmarks.ours import DEFAULT_CAP, Maintained, policy
from benchmarks.peers import Search, same_lists, same_pairs, sklearn_search
from benchmarks.planted import THRESHOLD, Planted
from benchmarks.records.store import kind
from benchmarks.rows import ResultsDifferError, Row, Setup, faster, figure, not_measured
from benchmarks.runner import run_all
from benchmarks.table import notes, table
from stores.feature_store import Floats

ROOT = Path(__file__).parents[2]
LISTENING_LOG_USERS = 320


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A listening log of 320 users with some of 500 artists each."""
    draw = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("log") / "user_artists.dat"
    lines = ["userID\tartistID\tweight"]
    for user in range(LISTENING_LOG_USERS):
        lines += [f"{user}\t{artist}\t{draw.integers(1, 900)}" for artist in draw.choice(500, size=20, replace=False)]
    path.write_text("\n".join(lines))
    return path


def quick(folder: Path, log: Path | None = None) -> Setup:
    return Setup(quick=True, folder=folder, lastfm=log)


# Rows and table


def test_a_row_says_whether_its_target_is_met() -> None:
    assert faster("a", 1.0, "peer", 2.0, least=2).met
    assert not faster("a", 1.0, "peer", 1.9, least=2).met
    assert faster("a", 0.5, "peer", 2.0, least=1000).target == "ratio >= 1,000"
    assert figure("a", 1.05, "exponent", most=1.05).met
    assert not figure("a", 1.06, "exponent", most=1.05).met
    never = faster("a", float("inf"), "peer", 2.0, least=10, note="n")
    assert (never.ours, never.met, never.note) == (None, False, "never reached; n")
    both = figure("a", 0.7, "recall@10", least=0.6, also=("accuracy >= 0.965", False), peer="p", theirs=0.35)
    assert (both.met, both.target, both.ratio) == (False, ">= 0.6, accuracy >= 0.965", 2.0)
    with pytest.raises(ValueError, match="no target"):
        figure("a", 1.0, "s")
    nothing = not_measured("a", ">= 1", "no log")
    assert (nothing.measured, nothing.met, nothing.note) == (False, False, "not measured: no log")


def shown(rows: list[Row], kinds: dict[str, str] | None = None) -> str:
    from rich.console import Console

    console = Console(width=120)
    with console.capture() as captured:
        console.print(table(rows, kinds))
    return captured.get()


def test_the_table_shows_every_row_and_marks_what_is_not_met() -> None:
    rows = [
        faster("pairs.a", 0.001, "faiss", 2.5, least=2, note="n"),
        faster("pairs.a.dense", 3.0, "faiss", 2.5, least=2),
        not_measured("fit.b", ">= 0.6", "it crashed"),
    ]
    lines = [line for line in shown(rows).splitlines() if line.startswith("│")]
    assert len(lines) == 3
    assert all(word in lines[0] for word in ("pairs.a ", "0.00100 s", "2.50 s", "2,500", "ratio >= 2", "yes"))
    assert all(word in lines[1] for word in (" .dense", "0.833", "NO"))
    assert all(word in lines[2] for word in ("fit.b", "not measured"))
    kinds = {"pairs.a": "AMD", "pairs.a.dense": "Intel", "fit.b": "AMD"}
    lines = [line for line in shown(rows, kinds).splitlines() if line.startswith("│")]
    assert [line.split("│")[-2].strip() for line in lines] == ["AMD", "Intel", "AMD"]
    assert notes(rows)[0] == "pairs.a: against faiss; n"
    assert notes(rows)[2] == "fit.b: not measured: it crashed"


def test_the_rows_are_those_that_were_asked_for() -> None:
    assert [name for case in CASES for name in case.targets] == [
        "pairs.incremental_vs_seed",
        "pairs.incremental_vs_faiss",
        "pairs.incremental_vs_panorama",
        "pairs.incremental_vs_sklearn",
        "pairs.full_vs_product",
        "pairs.growth",
        "pairs.gpu",
        "fit.gpu",
        "pairs.memory",
        "fit.step",
        "fit.pairs_per_second",
        "fit.time_to_seed_quality",
        "fit.quality_third",
        "fit.quality",
        "fit.quality.from_noise",
        "cycle.incremental_vs_full",
        "cycle.keeps_up",
        "outcomes.auc.twitch",
        "outcomes.recall50.twitch",
        "outcomes.auc.lastfm",
        "outcomes.recall50.lastfm",
        "outcomes.stream",
        "outcomes.fit_seconds",
        "spaces.compatible.generated",
        "spaces.compatible.twitch",
        "ledger.turn",
        "ledger.claim",
        "ledger.history",
        "ledger.registry",
        "serve.swap",
        "ingest.durable_vs_bare",
        "ingest.vs_quix",
        "ingest.watched",
        "sizing.2000",
        "sizing.10000",
        "sizing.30000",
        "sizing.100000",
        "scale.100000.full",
        "scale.100000.incremental",
        "scale.300000.full",
        "scale.300000.incremental",
        "scale.1000000.full",
        "scale.1000000.incremental",
    ]
    assert [case.function for case in chosen(CASES, "pairs.gr")] == ["growth:growth"]
    assert [list(case.targets) for case in chosen(CASES, "sizing.10000")] == [["sizing.10000"]]  # not 100,000, too
    assert len(chosen(CASES, "sizing.")) == 4


# The runner: fresh processes, and nothing hidden


@pytest.mark.full
def test_a_benchmark_that_fails_is_shown_and_the_others_go_on(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lost = Case("nowhere:nothing", {"fit.lost": ">= 1"})
    growth = next(case for case in CASES if case.function == "growth:growth")
    results = tmp_path / "results.json"
    assert main(["--quick", "--results", str(results)], cases=(lost, growth)) == 1
    rows = next(iter(json.loads(results.read_text())["kinds"].values()))["rows"]
    assert [row["name"] for row in rows] == ["fit.lost", "pairs.growth"]
    assert rows[0]["note"].startswith("not measured: ")
    assert rows[1]["ours"] is not None
    told = capfd.readouterr().out
    assert "FAILED" in told
    assert "not measured" in told
    assert str(ROOT) not in results.read_text()


def test_a_benchmark_that_takes_too_long_is_ended_and_shown() -> None:
    (case,) = chosen(CASES, "pairs.growth")
    for times in (1, 100):
        (outcome,) = run_all([replace(case, longer=times)], quick=True, lastfm=None, longest=0.01)
        assert outcome.failed
        assert f"not done after {0.01 * times:,.0f} s" in outcome.rows[0].note


@pytest.mark.full
def test_a_part_or_a_quick_run_leaves_the_results_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.__main__.RESULTS", tmp_path / "results.json")
    growth = tuple(chosen(CASES, "pairs.growth"))
    assert main(["--quick"], cases=growth) == 0
    assert not (tmp_path / "results.json").exists()


def test_what_is_on_record_is_shown_with_the_kind_of_machine_where_it_is_worst(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["--recorded"]) == 0
    told = capfd.readouterr().out
    assert "worst on" in told
    assert all(f"{name} " in told for name in ("pairs.growth", "cycle.incremental_vs_full"))


@pytest.mark.parametrize("wrong", [["--only", "nothing."], ["--lastfm", "nowhere.dat"]])
def test_wrong_usage_is_said(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert wrong[1] in capsys.readouterr().err


# The data


def test_generated_sets_are_deterministic_of_unit_length_and_similar_in_part() -> None:
    for make in (generated, isotropic, dense):
        rows = make(700)
        assert rows.shape == (700, WIDTH)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
        np.testing.assert_array_equal(rows, make(700))
        assert not np.array_equal(rows, make(700, seed=1))
        similar = ((rows @ rows.T > 0.8).sum() - 700) / 700**2
        assert 0 < similar < 0.05
        if make is dense:
            assert similar > 0.02


@pytest.mark.full
def test_listeners_come_in_chunks_of_one_story() -> None:
    chunks = list(raw_listeners(5200))
    assert [len(chunk) for chunk in chunks] == [5000, 200]
    assert len({user for chunk in chunks for user in chunk}) == 5200
    np.testing.assert_array_equal(generated(5200)[:5050], generated(5050))


@pytest.mark.full
def test_real_listeners_are_enlarged_or_said_to_be_absent(log: Path, tmp_path: Path) -> None:
    rows = lastfm(log, 900)
    assert rows.shape == (900, WIDTH)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(rows, lastfm(log, 900))
    names = [data.name for data in data_sets(quick(tmp_path, log), 400, 20)]
    assert names == ["generated", "lastfm_0.5", "lastfm_0.8", "isotropic", "dense"]
    without = list(data_sets(quick(tmp_path), 400, 20))
    assert [data.name for data in without] == ["generated", "isotropic", "dense"]
    assert all((len(data.directions), len(data.spare)) == (400, 20) for data in without)


def test_the_planted_graph_is_the_one_that_mining_finds(tmp_path: Path) -> None:
    world = Planted(tmp_path / "d.f32", 1000)
    ours = Maintained(world.directions, policy(THRESHOLD, DEFAULT_CAP))
    ours.mine_all()
    mined, planted = ours.lists(), world.links()
    for name in ("source", "target", "similarity"):
        np.testing.assert_array_equal(getattr(mined, name), getattr(planted, name))


# Results are compared before any time counts


def small() -> Floats:
    return dense(500)


def test_results_that_differ_by_more_than_rounding_are_no_row() -> None:
    directions = small()
    ours = Maintained(directions, policy(0.8, None)).similar(np.arange(20))
    same_pairs(directions, 0.8, ours, ours[::-1], "peer")
    with pytest.raises(ResultsDifferError, match="1 differ"):
        same_pairs(directions, 0.8, ours[1:], ours, "peer")
    with pytest.raises(ResultsDifferError, match="twice"):
        same_pairs(directions, 0.8, np.concatenate([ours, ours[:1]]), ours, "peer")


def test_rounding_excuses_the_peer_and_never_us() -> None:
    unit = np.zeros((2, WIDTH), dtype=np.float32)
    unit[:, 0], unit[1, 1] = 1.0, 0.0
    pair, none = np.array([[0, 1]]), np.empty((0, 2), dtype=np.int64)
    just_below = 1.0 - 1e-9  # the similarity is 1, so above this line
    same_pairs(unit, just_below, pair, none, "peer")
    with pytest.raises(ResultsDifferError):
        same_pairs(unit, just_below, none, pair, "peer")


def test_lists_are_compared_to_the_definition() -> None:
    directions = small()
    ours = Maintained(directions, policy(0.8, 5))
    ours.mine_all()
    some = np.array([3, 77, 400])
    same_lists(directions, ours.lists(), some, 0.8, 5)
    with pytest.raises(ResultsDifferError, match="differ from the definition"):
        same_lists(directions, ours.lists(), some, 0.8, 6)


def test_sklearn_finds_what_we_find() -> None:
    directions = small()
    rows = np.array([0, 5, 400])
    search: Search = sklearn_search(directions, rows, 0.8)
    same_pairs(directions, 0.8, Maintained(directions, policy(0.8, None)).similar(rows), search(), "sklearn")


# The benchmarks themselves, at sizes that measure nothing


@pytest.mark.full
@pytest.mark.parametrize("name", ["pairs.full_vs_product", "pairs.memory", "cycle.incremental_vs_full"])
def test_a_quick_run_gives_its_rows(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--quick", "--only", name]) == 0
    assert name in capfd.readouterr().out


@pytest.mark.full
def test_a_quick_run_against_the_libraries(tmp_path: Path, log: Path) -> None:
    from benchmarks.incremental import vs_libraries

    rows = {row.name: row for row in vs_libraries(quick(tmp_path, log))}
    sets = ["generated", "lastfm_0.5", "lastfm_0.8", "isotropic", "dense"]
    for peer in ("faiss", "sklearn"):
        name = f"pairs.incremental_vs_{peer}"
        assert {f"{name}.{data}" for data in sets} | {name} == {row for row in rows if row.startswith(name)}
        if peer == "faiss" and find_spec("faiss") is None:
            assert "faiss is not installed" in rows[name].note
            continue
        ratios = [rows[f"{name}.{data}"].ratio for data in sets]
        assert rows[name].ratio == min(ratio for ratio in ratios if ratio is not None)
        assert "the worst of 5" in rows[name].note


@pytest.mark.full
@pytest.mark.skipif(
    find_spec("faiss") is None, reason="faiss IS NOT INSTALLED: make bench installs it, the tests do not"
)
def test_faiss_finds_what_we_find() -> None:
    from benchmarks.peers import faiss_search

    directions = small()
    rows = np.array([0, 5, 400])
    found = faiss_search(directions, rows, 0.8)()
    same_pairs(directions, 0.8, Maintained(directions, policy(0.8, None)).similar(rows), found, "faiss")


# What it stands on


def test_the_machine_is_named_and_nothing_of_its_owner() -> None:
    from benchmarks.machine import machine

    found: dict[str, Any] = machine()
    assert found.keys() == {"cpu", "cores", "memory_gib", "system", "python", "versions", "commit", "date"}
    assert found["cores"] >= 1
    assert {"numpy", "scikit-learn", "tensorflow"} <= found["versions"].keys()
    assert "/" not in json.dumps(found)
    assert kind(found).endswith(("core", "cores"))


def test_the_extra_adds_peers_to_what_the_service_runs_on_and_changes_nothing() -> None:
    runtime, bench = (pins(ROOT / "requirements" / name) for name in ("runtime.txt", "bench.txt"))
    assert runtime <= bench
    assert {pin.split("==")[0] for pin in bench - runtime} >= {"faiss-cpu"}


def pins(lock: Path) -> set[str]:
    return set(re.findall(r"^([\w.\-]+(?:\[[\w,\-]+\])?==\S+)", lock.read_text(), re.MULTILINE))


def test_the_command_says_what_it_takes() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(option in ran.stdout for option in ("--only", "--quick", "--results", "--lastfm"))
